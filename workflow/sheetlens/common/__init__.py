"""What every room uses and no domain is in: files, tables, errors, progress, barcodes, licences."""
