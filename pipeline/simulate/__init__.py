"""Simulated flights: people of distinct looks under a moving camera, with exact truth.

camera   where a point of the world falls in the picture
shapes   solid things as hulls of balls, drawn from any angle
people   looks and walking bodies
scenery  what hides people or looks like them
ground   what they walk on
effects  air, lens, sensor
scene    all of it at one moment, with the truth
stills   training pictures
flight   videos
"""

from pipeline.simulate.flight import FlightFiles, simulate_flight
from pipeline.simulate.stills import render_stills

__all__ = ["FlightFiles", "render_stills", "simulate_flight"]
