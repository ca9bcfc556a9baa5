"""The report, the data quality page and the credits."""
