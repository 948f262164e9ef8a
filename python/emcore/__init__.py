"""Electron-microscopy data turned into a few maps and a few representative signals."""
