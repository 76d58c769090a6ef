"""Words to a song: reads a prompt, chooses what it leaves open by style, and says how each thing was decided."""

from studio.plan.planner import plan_song
from studio.plan.values import USUAL_ROLES, Choice, Plan, PlanOptions, SectionSpec, parse_sections

__all__ = ["USUAL_ROLES", "Choice", "Plan", "PlanOptions", "SectionSpec", "parse_sections", "plan_song"]
