"""Builds `lorgnette.firmware_bridge._core`: the firmware's portable C, as it is, behind cffi's API mode.

Run by setuptools from the root of the project. Every path is relative: absolute ones build here and break the source
distribution. The C side calls back into Python by the `hal_*` functions, which `simulator/core.py` defines.
"""

import re
import sys
import zlib
from pathlib import Path

from cffi import FFI

FIRMWARE = Path("hardware/firmware")
INCLUDES = [FIRMWARE / "components/glink/include", FIRMWARE / "components/frame_app/include", FIRMWARE / "host"]
SOURCES = [
    *sorted(FIRMWARE.glob("components/glink/*.c")),
    *sorted(FIRMWARE.glob("components/frame_app/*.c")),
    FIRMWARE / "host/frame_sim.c",
]
HEADERS = sorted([*FIRMWARE.glob("components/glink/*.h"), *(h for folder in INCLUDES for h in folder.glob("*.h"))])

# The frame's build hash: which sources this extension was made of.
build_hash = 0
for path in [*HEADERS, *SOURCES]:
    build_hash = zlib.crc32(path.read_bytes().replace(b"\r\n", b"\n"), build_hash)

declarations = re.search(
    r"/\* begin cdef \*/(.*)/\* end cdef \*/", (FIRMWARE / "host/frame_sim.h").read_text(encoding="utf-8"), re.DOTALL
)
if declarations is None:
    raise SystemExit("hardware/firmware/host/frame_sim.h has lost its cdef marks")

ffibuilder = FFI()
ffibuilder.cdef(
    declarations[1]
    + """
    extern "Python" {
        void hal_led(void *ctx, uint32_t sample, uint8_t level);
        void hal_mic_enable(void *ctx, uint32_t sample, uint8_t on);
        void hal_mic_read(void *ctx, uint32_t sample, int16_t *pcm, uint32_t n);
        void hal_speaker_enable(void *ctx, uint32_t sample, uint8_t on);
        void hal_speaker_write(void *ctx, uint32_t sample, const int16_t *pcm, uint32_t n);
        int32_t hal_camera_start(void *ctx, uint32_t sample);
        int32_t hal_camera_read(void *ctx, uint32_t sample, uint8_t *jpeg, uint32_t cap);
        int32_t hal_camera_stop(void *ctx, uint32_t sample);
        int32_t hal_battery_percent(void *ctx);
        void hal_set_rate(void *ctx, uint32_t sample, uint32_t baud);
    }
    // The codecs and parsers alone, so that one table of vectors tests each in both languages.
    uint32_t glink_crc32(uint32_t crc, const uint8_t *data, size_t n);
    int32_t glink_cobs_encode(const uint8_t *src, size_t n, uint8_t *dst, size_t cap);
    int32_t glink_cobs_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t cap);
    typedef struct glink_adpcm { int16_t predictor; uint8_t index; } glink_adpcm_t;
    size_t glink_adpcm_encode(glink_adpcm_t *state, const int16_t *pcm, size_t n, uint8_t *block);
    int32_t glink_adpcm_decode(const uint8_t *block, size_t n, int16_t *pcm);
    typedef struct frame_conditioning { int32_t offset_q14; int32_t gain; } frame_conditioning_t;
    void frame_conditioning_init(frame_conditioning_t *c, int32_t gain);
    void frame_conditioning_apply(frame_conditioning_t *c, int16_t *pcm, size_t n);
    int32_t frame_jpeg_length(const uint8_t *data, size_t n);
    """
)
ffibuilder.set_source(
    "lorgnette.firmware_bridge._core",
    "".join(
        f'#include "{name}.h"\n'
        for name in ("frame_conditioning", "frame_jpeg", "frame_sim", "glink_adpcm", "glink_cobs", "glink_crc32")
    ),
    sources=[path.as_posix() for path in SOURCES],
    include_dirs=[path.as_posix() for path in INCLUDES],
    depends=[*(path.as_posix() for path in HEADERS), "firmware_bridge/core_build.py"],
    # A simulated frame is there to be tested; a released one has no test channel.
    define_macros=[("FRAME_SIM_BUILD_HASH", f"0x{build_hash:08x}u"), ("GLINK_TEST_CHANNEL", "1")],
    extra_compile_args=["/std:c11", "/O2"] if sys.platform == "win32" else ["-std=c11", "-O2", "-Wall"],
    optional=True,  # without a compiler the install succeeds, and sim:// says what is missing
)
