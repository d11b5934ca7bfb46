"""Simulated flights: people of distinct looks under a moving camera, with exact ground truth.

camera     where a point of the world falls in the picture
textures   noise and painted surfaces
shapes     solid things as hulls of balls, plates and leafy discs, and their outlines
sprites    how those are drawn, and what hides what
people     looks and walking bodies
boxes      houses, cars, stalls and other boxy things
scenery    trees, posts, cycles, and their places
materials  grass, gravel, slabs, asphalt
markings   streets and what is painted on them
ground     what people walk on, put together
effects    light, air, lens, sensor
scene      all of it at one moment, with the ground truth
output     where it is written
flight     videos
pictures   pictures with their ground truth as a COCO data set
stills     such pictures, each of a scene of its own
flight_stills   such pictures out of flights
"""

from pipeline.simulate.flight import FlightFiles, simulate_flight
from pipeline.simulate.flight_stills import render_flight_stills
from pipeline.simulate.stills import render_stills

__all__ = ["FlightFiles", "render_flight_stills", "render_stills", "simulate_flight"]
