"""Model card, datasheet, REFORMS checklist and RO-Crate of a study."""
