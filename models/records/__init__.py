"""The database: tables, claims, ends of attempts, rescue, publication, boots, acceptance, control."""
