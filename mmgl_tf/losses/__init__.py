"""Losses of the method as pure functions of tensors; each file holds the equations it is named after."""
