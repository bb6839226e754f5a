"""The simulated frame: the firmware's own C core with scripted peripherals."""

from .button import NEVER, ScriptedButton
from .camera import CameraFailed, ImageCamera
from .core import SimulatedFrame
from .microphone import ScriptedMicrophone
from .peripherals import PartChange, Peripherals
from .pipe import PipeFrame
from .speaker import SpeakerRecorder
from .stepped import SteppedFrame
from .url import parse_sim_url

__all__ = [
    "NEVER",
    "CameraFailed",
    "ImageCamera",
    "PartChange",
    "Peripherals",
    "PipeFrame",
    "ScriptedButton",
    "ScriptedMicrophone",
    "SimulatedFrame",
    "SpeakerRecorder",
    "SteppedFrame",
    "parse_sim_url",
]
