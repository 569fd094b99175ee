"""What people and machines are shown of orders: documents, reports, statistics, timelines and the live picture."""
