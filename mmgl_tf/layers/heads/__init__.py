"""What stands between the trunk and a loss."""
