"""Real faults on real servers, by name.

For bench/diagnosis.py, which prints the matrix, and for test_diagnosis.py.
"""

import bufferfaults
import serverfaults
import stackfaults
from faultregistry import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "bufferfaults", "serverfaults", "stackfaults"]
