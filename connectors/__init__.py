"""One room per platform, and the contract they all keep (`contract.py`). A connector never touches the database."""
