"""tap-salespro: SalesPro's tables in Athena, and the CSV exports of its admin."""
