"""Reports for people: what was asked in a month, for a council member; HTML, PDF and XLSX from the same figures."""
