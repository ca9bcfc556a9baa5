"""The terms of Darwin Core and Audiovisual Core that exports use, as the standards list them.

Darwin Core List of Terms, http://rs.tdwg.org/dwc/doc/list/2023-09-18; what belongs to which table follows the
extensions Identification History and Measurement Or Facts (github.com/tdwg/dwc, build/xml). Audiovisual Core Term
List, http://rs.tdwg.org/ac/doc/termlist/2023-09-05; its terms for regions are of 2021-10-05.
"""

DWC = "http://rs.tdwg.org/dwc/terms/"
AC = "http://rs.tdwg.org/ac/terms/"
DCTERMS = "http://purl.org/dc/terms/"
CURRENT = "https://symbiota.org/terms/identificationIsCurrent"  # as Symbiota exports and takes it

OCCURRENCE, IDENTIFICATION, FACT = f"{DWC}Occurrence", f"{DWC}Identification", f"{DWC}MeasurementOrFact"
REGION = f"{AC}RegionOfInterest"
TERMS = {  # row type -> the terms a table of it may have
    OCCURRENCE: [DWC + name for name in ("basisOfRecord", "catalogNumber", "dynamicProperties", "occurrenceID")],
    IDENTIFICATION: [
        DWC + name
        for name in (
            "dateIdentified", "family", "genus", "identificationID", "identificationQualifier",
            "identificationReferences", "identificationRemarks", "identificationVerificationStatus", "identifiedBy",
            "scientificName", "taxonRank", "verbatimIdentification",
        )
    ] + [CURRENT],
    FACT: [
        DWC + name
        for name in (
            "measurementAccuracy", "measurementDeterminedBy", "measurementDeterminedDate", "measurementID",
            "measurementMethod", "measurementRemarks", "measurementType", "measurementUnit", "measurementValue",
            "parentMeasurementID",
        )
    ],
    REGION: [
        f"{DCTERMS}description", f"{DCTERMS}identifier",
        *(AC + name for name in ("heightFrac", "isROIOf", "radius", "widthFrac", "xFrac", "yFrac")),
    ],
}  # fmt: skip
REQUIRED = {  # row type -> terms whose cells may not be empty
    OCCURRENCE: [f"{DWC}catalogNumber"],
    IDENTIFICATION: [f"{DWC}scientificName"],
    FACT: [f"{DWC}measurementType"],
    REGION: [AC + name for name in ("isROIOf", "xFrac", "yFrac", "widthFrac", "heightFrac")],
}
DATES = [f"{DWC}dateIdentified", f"{DWC}measurementDeterminedDate"]  # ISO 8601
