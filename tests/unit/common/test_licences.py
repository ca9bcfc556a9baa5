import pytest

from sheetlens.common.licences import KINDS, PORTS, VERSIONS, allows, known, own, resolve


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "form",
    ["http://creativecommons.org/licenses/{}/{}/", "https://creativecommons.org/licenses/{}/{}",
     "https://www.creativecommons.org/licenses/{}/{}/legalcode", "creativecommons.org/licenses/{}/{}/deed.de",
     "This work is under <a href='//creativecommons.org/licenses/{}/{}/'>this</a> licence"],
)  # fmt: skip
def test_every_version_of_creative_commons_has_its_id(kind, version, form):
    parts = kind.removeprefix("CC-").lower()
    assert resolve(form.format(parts, version)) == (f"{kind}-{version}", True)


def test_ports_have_an_id_where_spdx_lists_one_and_stay_as_stated_elsewhere():
    for kind, ports in PORTS.items():
        for port in ports:
            version, place = port.lower().split("-")
            address = f"http://creativecommons.org/licenses/{kind.removeprefix('CC-').lower()}/{version}/{place}/"
            assert resolve(address) == (f"{kind}-{port}", True)
    for address in ("http://creativecommons.org/licenses/by/3.0/br/", "creativecommons.org/licenses/by/2.5/scotland/"):
        assert resolve(address) == (address, True)
        assert allows(["CC-BY"], address)
        assert not allows(["CC-BY-NC"], address)


@pytest.mark.parametrize(
    ("statement", "licence"),
    [
        ("CC0", "CC0-1.0"),
        ("CC_BY_NC_4_0", "CC-BY-NC-4.0"),
        ("CC0_1_0", "CC0-1.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("Public Domain Mark 1.0", "CC-PDM-1.0"),
        ("CC-BY 4.0", "CC-BY-4.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution NonCommercial (CC-BY-NC) 4.0 License", "CC-BY-NC-4.0"),
        ("http://creativecommons.org/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0"),
        ("https://i.creativecommons.org/l/by-nc-sa/4.0/88x31.png", "CC-BY-NC-SA-4.0"),
        ("© The Herbarium", "© The Herbarium"),
        ("http://rightsstatements.org/vocab/InC/1.0/", "http://rightsstatements.org/vocab/InC/1.0/"),
        ("https://evil.example/creativecommons.org/licenses/by/4.0/",) * 2,
        ("https://evil.example/?x=creativecommons.org/licenses/by/4.0/",) * 2,
    ],
)
def test_what_portals_write(statement, licence):
    assert resolve(statement) == (licence, True)


def test_a_default_of_the_portal_asserts_nothing():
    assert resolve("", " ") == ("", False)
    assert resolve("CC BY-NC-SA") == ("CC BY-NC-SA", False)
    assert resolve("CC BY-NC-SA", "The Herbarium") == ("CC BY-NC-SA", False)
    assert resolve("CC BY-NC-SA", "http://creativecommons.org/licenses/by/4.0/") == ("CC-BY-4.0", True)
    assert not allows(["CC-BY-NC-SA"], "CC BY-NC-SA")


def test_the_filter_keeps_kinds_apart():
    assert allows([], "")
    assert allows(["CC0", "CC-BY"], "CC0-1.0")
    assert allows(["CC-BY"], "CC-BY-3.0-US")
    assert allows(["CC-BY-4.0"], "CC-BY-4.0")
    for licence in ("CC-BY-NC-4.0", "CC-BY-SA-4.0", "", "all rights reserved", "CC0 or not"):
        assert not allows(["CC-BY", "CC0"], licence)
    assert not allows(["CC-BY-4.0"], "CC-BY-3.0")


def test_a_wish_that_nothing_resolves_to_is_known_as_such():
    assert all(known(wish) for wish in ("CC0", "CC-BY", "CC-BY-NC-4.0", "CC-BY-3.0-US", "CC-PDM-1.0"))
    assert not any(known(wish) for wish in ("CC BY", "cc0", "CC-BY-5.0", "MIT"))


def test_absurd_statements_are_cut():
    licence, asserted = resolve("x" * 10_000_000)
    assert (len(licence), asserted) == (1000, True)


@pytest.mark.parametrize(
    ("statement", "licence", "asserted"),
    [
        ("Data: CC0. Images: CC BY-NC-ND 4.0", "CC-BY-NC-ND-4.0", True),
        ("CC BY 4.0; CC BY-NC 4.0", "CC-BY-NC-4.0", True),
        (f"{'http://creativecommons.org/licenses/by/4.0/'} | {'http://creativecommons.org/licenses/by-sa/4.0/'}",
         "CC-BY-SA-4.0", True),
        ("Text CC0, photographs https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0", True),
        ("CC BY 4.0 or CC BY 4.0", "CC-BY-4.0", True),
        ("<a href=\"http://creativecommons.org/licenses/by/4.0/\">Attribution 4.0 International (CC BY 4.0)</a>",
         "CC-BY-4.0", True),
        ("CC0 1.0: no rights reserved", "CC0-1.0", True),
        ("Some rights reserved, CC BY-SA 3.0", "CC-BY-SA-3.0", True),
        ("Specimen No. 12, CC BY 4.0", "CC-BY-4.0", True),
        ("© 2019 RBG, CC BY 4.0 (http://herbarium.example/no-index)", "CC-BY-4.0", True),
    ],
)  # fmt: skip
def test_of_several_licences_in_a_statement_the_strictest_counts(statement, licence, asserted):
    assert resolve(statement) == (licence, asserted)


@pytest.mark.parametrize(
    "statement",
    [
        "Metadata CC0 1.0; images (c) RBG, all rights reserved",
        "CC BY 4.0, non-commercial use only",
        "CC BY-NC (see also CC BY 4.0 for text)",
        "Not CC BY 4.0",
        "CC BY 4.0 NOT for resale",
        "CC BY 4.0 (no commercial use)",
        "CC BY 4.0 except for the photographs",
        "Unless stated otherwise CC0",
        "http://creativecommons.org/licenses/by/4.0/ isn't the licence of the picture",
        "Daten: CC BY 4.0; Fotos: alle Rechte vorbehalten",
        "CC BY 4.0, images tous droits réservés",
        "CC BY 4.0. Reproduction by permission of the herbarium",
        "CC-BY-4.0 for research use",
        "CC BY-SA 4.0 / CC BY-NC 4.0",  # neither asks for all that the other does
        "formerly CC BY 4.0",
    ],
)
def test_what_takes_something_back_is_kept_and_asserts_nothing(statement):
    licence, asserted = resolve(statement)
    assert (licence, asserted) == (statement, False)
    assert not allows(["CC0", "CC-BY", "CC-BY-NC", "CC-BY-SA"], licence)


def test_statements_in_several_fields_count_together():
    by = "http://creativecommons.org/licenses/by/4.0/"
    assert resolve(by, "CC BY-NC 4.0") == ("CC-BY-NC-4.0", True)
    assert resolve(by, "© The Herbarium") == ("CC-BY-4.0", True)
    assert resolve(by, "All rights reserved") == ("All rights reserved", False)
    assert resolve("All rights reserved") == ("All rights reserved", True)
    assert resolve(by, "https://herbarium.example/not-yet") == ("CC-BY-4.0", True)
    assert resolve(by, by) == ("CC-BY-4.0", True)
    for port in ("br", "scotland"):
        text = f"Fotos all rights reserved, data http://creativecommons.org/licenses/by/3.0/{port}/"
        assert not allows(["CC-BY"], resolve(text)[0])


def test_what_stands_in_a_table_of_ones_own_asserts():
    assert own("CC BY-NC") == ("CC-BY-NC", True)
    assert own("cc-by") == ("CC-BY", True)
    assert own("CC0") == ("CC0-1.0", True)
    assert own("CC BY-NC, see CC BY 4.0 for text") == ("CC-BY-NC", True)
    assert own("© The Herbarium") == ("© The Herbarium", True)
    assert own("CC BY 4.0, not the pictures") == ("CC BY 4.0, not the pictures", False)
    assert own("") == own("  ") == ("", False)
    assert allows(["CC-BY-NC"], own("CC BY-NC")[0]) and not allows(["CC-BY"], own("CC BY-NC")[0])


@pytest.mark.parametrize(
    "words",
    [
        "uso comercial prohibido", "Prohibida su reproducción", "excepto las imágenes", "sólo para investigación",
        "uso académico", "utilisation commerciale interdite", "hors photographies", "réservé à la recherche",
        "avec accord du MNHN", "kommerzielle Nutzung untersagt", "Bilder urheberrechtlich geschützt",
        "nichtkommerziell", "mit Genehmigung", "exceto imagens", "uso comercial proibido", "só para pesquisa",
        "tutti i diritti riservati",
        "niet voor commercieel gebruik", "alla rättigheter förbehållna", "wszelkie prawa zastrzeżone", "禁止商用",
        "images on request", "contact the curator before use", "apart from images", "for non-profit use",
        "confidential", "for educational purposes", "Usage Conditions Apply", "until 2019", "from 2030",
        "In Copyright", "Copyrighted",
        "ALL RIGHTS RESERVED", "USO COMERCIAL PROHIBIDO", "Nur Für Forschung", "BY-NC", "NC", "non-com",
        "http://rightsstatements.org/vocab/InC/1.0/",
    ],
)  # fmt: skip
def test_words_beside_a_free_licence_that_are_not_known_to_be_harmless_take_something_back(words):
    by = "https://creativecommons.org/licenses/by/4.0/"
    for statement in (f"CC BY 4.0, {words}", f"{words}; CC BY 4.0", f"{by} {words}"):
        assert not allows(["CC0", "CC-BY"], resolve(statement)[0]), statement
        assert not own(statement)[1], statement
    assert not allows(["CC0", "CC-BY"], resolve(by, words)[0])


@pytest.mark.parametrize(
    "words",
    [
        "© President and Fellows of Harvard College", "Copyright 2019 Universidad Nacional de Colombia",
        "Muséum national d'histoire naturelle, Paris", "Botanischer Garten und Botanisches Museum Berlin",
        "(c) Naturalis Biodiversity Center", "Herbarium Pas-de-Calais", "Attribution 4.0 International (CC BY 4.0)",
        "Image: J. Smith, courtesy of the Smithsonian Institution", "some rights reserved",
        "This work is licensed under a Creative Commons Attribution 4.0 International License. To view a copy of this "
        "license, visit http://creativecommons.org/licenses/by/4.0/ or send a letter to Creative Commons, PO Box 1866, "
        "Mountain View, CA 94042, USA.",
    ],
)  # fmt: skip
def test_who_is_credited_and_how_a_licence_is_introduced_takes_nothing_back(words):
    assert resolve("https://creativecommons.org/licenses/by/4.0/", words) == ("CC-BY-4.0", True)
    assert resolve(f"{words} https://creativecommons.org/licenses/by/4.0/deed.es?ref=chooser") == ("CC-BY-4.0", True)


@pytest.mark.parametrize("statement", ["CC0 for data", "Metadata: CC0", "CC0 (data). Images: © K", "CC0; images © Kew"])
def test_a_licence_of_the_data_or_a_waiver_beside_a_claim_is_none_of_the_picture(statement):
    assert resolve(statement) == (statement, False)


@pytest.mark.parametrize(
    ("statement", "licence"),
    [
        ("CC BY-NCSA 4.0", "CC-BY-NC-SA-4.0"),
        ("CC\u2010BY\u2013NC 4.0", "CC-BY-NC-4.0"),
        ("Namensnennung-Nicht kommerziell 4.0 International (CC BY-NC 4.0)", "CC-BY-NC-4.0"),
        ("Attribution - Pas d\u2019Utilisation Commerciale 4.0 International", "CC-BY-NC-4.0"),
        ("Atribución-NoComercial-CompartirIgual 4.0 Internacional (CC BY-NC-SA 4.0)", "CC-BY-NC-SA-4.0"),
        ("Atribuição-SemDerivações 4.0 Internacional (CC BY-ND 4.0)", "CC-BY-ND-4.0"),
        ("Creative Commons Reconocimiento 4.0", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-nc/", "CC-BY-NC"),
        ("https://creativecommons.org/licences/by-nc/4.0/", "CC-BY-NC-4.0"),
    ],
)
def test_titles_and_addresses_in_other_spellings(statement, licence):
    assert resolve(statement) == (licence, True)
    assert not allows(["CC-BY"], licence) or licence == "CC-BY-4.0"


def test_of_bare_names_only_the_portals_default_does_not_count_beside_another():
    by = "http://creativecommons.org/licenses/by/4.0/"
    assert resolve(by, "CC BY-NC") == ("CC BY-NC", False)
    assert resolve(by, "CC BY-NC-SA (Attribution-NonCommercial-ShareAlike)") == ("CC-BY-4.0", True)
    assert resolve("CC BY-NC", "http://creativecommons.org/licenses/by-nc/4.0/") == ("CC-BY-NC-4.0", True)


def test_what_stands_for_no_value_is_no_statement():
    for value in ("NA", "null", "None", "unknown", " - "):
        assert resolve(value) == own(value) == ("", False)
        assert resolve(value, "CC BY 4.0") == ("CC-BY-4.0", True)
