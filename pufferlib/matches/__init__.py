"""Matches between players: of trained runs, random, scripted, and those of game libraries."""
