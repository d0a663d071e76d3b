"""How data sets lie on disk: a reader each, files and lists -> `DatasetSplits`."""
