"""Whether the words beside a licence may take something back of what it allows.

Statements come in every language, and a list of words that restrict ends before the next one. So it is turned round:
beside a licence may stand what licences are introduced and credited with, and names, which begin with a capital; with
any other word only a person can tell what is meant.
"""

import re

# Sentences that come with the licences, and whole phrases that take nothing back.
HARMLESS = re.compile(
    r"\bno (?:known )?(?:rights reserved|copyright(?: restrictions)?)|\bsome rights reserved|\bno\.?\s*\d+"
    r"|\bto the extent possible under law,? [^.]{0,300}?\bpublic domain"
    r"|\bthe person who associated a work with this deed has dedicated the work to the public domain"
    r"|\busers may copy, modify, distribute and use the work,? including for commercial purposes, without restriction"
    r"|\bto view a copy of this licen[cs]e,? visit|\bsend a letter to\b"
    r"|\bpermissions beyond the scope of this licen[cs]e may be available at"
    r"|\b(?:terms of use|usage rights|use|usage|usage terms)\s*:",
    re.I,
)
MARKUP = re.compile(r"<[^>]*>|&\w+;|\S+@\S+")
WEB = re.compile(r"\S+://\S+")
RIGHTS_STATEMENT = re.compile(r"rightsstatements\.org/\S*", re.IGNORECASE)  # that it is in copyright, say
IN_COPYRIGHT = re.compile(r"\bin copyright\b", re.IGNORECASE)
CLAIM = re.compile(r"\u00a9|\(c\)|\bcopyright\b", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# What a licence is introduced and credited with, and the small words within the names of people and places.
INTRODUCING = re.compile(
    r"this|these|works?|content|images?|photos?|photograph(?:s|er|ed)?|pictures?|media|scans?|specimens?|sheets?|herbarium"
    r"|taken|is|are|under|by|with|to|at|in|of|on|and|or|the|see|also|here|visit|version|kind|free|open|access|required"
    r"|li[cz]en[csz]\w*|licença|interna[ctz]ion\w*|unported|generic|universal|deed|legalcode|public|domain|dedicat(?:ed|ion)"
    r"|released|available|made|published|provided|reproduced|shared|distributed|copyright|courtesy|credits?|attribution"
    r"|rights|held|holders?|owner|authors?|creator|foto|bild(?:er)?|im[aá]ge(?:m|ns|nes)|et|al|und|y|e|och|og|en|i|de|des"
    r"|du|la|les?|da|dos?|das|di|del|dell[aeo]|degli|el|l[oa]s|il|lo|de[rnm]|die|vo[nm]|zu[rm]?|für|[ai]m|van|het|te[rn]|a[fv]"
    r"|[ao]s|ao|uma?"
)
INSTITUTION = re.compile(
    r"(?:muse|mus[ée]|herb(?:ari|ier|är)|universi|institut|botan|gard|gart|jard[ií]n|nation|na[ct]ional|natur|histoi?r"
    r"|soci[eé]t|acad[ée]m|colle[ck]?[ct]ion|conservatoire|royal|trustee|board|fellow|president|botâni)\w*"
)
# What a licence may be said to be of; a statement that has one licence only is then silent on the pictures.
SCOPE = re.compile(
    r"\b(?:for |of )?(?:the |all )?"
    r"(?:(?:meta)?data|data(?:set|base)|records?|texts?|labels?|daten|datos|dados|donn[ée]es)\b"
    r"|\bfor (?:the |all )?(?:images?|photo(?:graph)?s?|pictures?|media)\b",
    re.IGNORECASE,
)
# A capital may also begin a sentence or a headline: these stems are no names.
RESTRICTING = re.compile(
    r"(?:(?:by-)?(?:nc|nd|sa)(?:-[ns][acd])*|not?|none|never|only|without|anything|but|other|until|before|unless"
    r"|fees?|sale|contact|ask|apply"
    r"|terms?|use|uses|usage|uso|usos|nutzung\w*|utilisation|gebruik|cop(?:y|ie|ia)|reprodu\w*|study|hidden|copyrighted"
    r"|ex(?:cept|cl|klu|pir|cepto|ceto)\w*|reserv\w*|r[ée]serv\w*|riservat\w*|voorbehouden|vorbehalt\w*|f[öo]rbeh\w*"
    r"|proh?[ií]b\w*|forb(?:id|ud|jud)\w*|verb[oi]\w*|interdi\w*|vietat\w*|untersag\w*|restri\w*|limit\w*|conditions?"
    r"|permi[st]\w*|consent\w*|genehmig\w*|zustimm\w*|erlaub\w*|autori[sz]\w*|accord|embargo\w*|request\w*|anfrage"
    r"|(?:com|kom)+er[czs]\w*|pay\w*|charg\w*|purchas\w*|revok\w*|withdr\w*|former\w*|previous\w*|protect\w*|gesch[üu]tzt"
    r"|confiden\w*|private?|personal|research|forschung\w*|educa\w*|scientific|unknown|unclear|pending|prob\w*|perhaps"
    r"|nicht\w*|kein\w*|nur|ohne|au(?:ss|ß)er|aus(?:schl|genom)\w*|lediglich|pas|sauf|hors|uniquement|aucun\w*|jamais"
    r"|salvo|s[óo]lo|solamente|[úu]nic\w*|sin|ning[úu]n\w*|nunca|n[ãa]o|apenas|somente|sem|niet|geen|alleen|non\w*|ej)"
)


def takes_back(words: str, licences: int, waived: bool) -> bool:
    """Whether `words`, the rest of a statement that names so many `licences`, may take something back.

    Who claims a copyright has not `waived` it.
    """
    words = re.sub(r"['\u2018\u2019\u00b4`]", " ", WEB.sub(" ", MARKUP.sub(" ", words))) + _foreign(words)
    words = HARMLESS.sub(" ", words)
    if licences > 1:  # of data and of pictures: the strictest counts
        words = SCOPE.sub(" ", words)
    return (
        "?" in words
        or bool((CLAIM if waived else IN_COPYRIGHT).search(words))
        or any(not _harmless(word) for word in WORD.findall(words))
    )


def _foreign(words: str) -> str:
    """What an address says of rights by itself; all other addresses say nothing."""
    return " restricting" if RIGHTS_STATEMENT.search(words) else ""


def _harmless(word: str) -> bool:
    small = word.casefold()
    if len(word) == 1 or INTRODUCING.fullmatch(small) or INSTITUTION.fullmatch(small):
        return True
    return word[0].isupper() and not SCOPE.fullmatch(small) and not RESTRICTING.fullmatch(small)
