"""What an operator needs of a civicsync that runs for years: metrics, health, readiness, the service manager, deploy files."""
