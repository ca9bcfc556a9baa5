"""Specimen records: Darwin Core Archives, Smithsonian shards, tables, and the join to photographs."""
