"""What defines a drawn world: a handful of numbers, and a name made of them."""

import hashlib
import json
from dataclasses import asdict, dataclass

# Raise it whenever the same numbers would be drawn differently, so that no cached world goes stale.
DRAWING_VERSION = 5

VISIBLE_CAMERAS = (1, 2, 4, 5)
INFRARED_CAMERAS = (3, 6)
SYSU_CAMERAS = (1, 2, 3, 4, 5, 6)
# RegDB has no camera numbers: one body carries a visible camera (1 here) and a thermal one (2 here).
REGDB_VISIBLE_CAMERA, REGDB_THERMAL_CAMERA = 1, 2
REGDB_FRAMES = 10
REGDB_TRIALS = 10

LAYOUTS = ("sysu", "regdb")


@dataclass(frozen=True)
class WorldSpec:
    """The numbers that a world is a pure function of.

    Attributes:
        seed: seed of everything that is drawn, at least 0.
        layout: "sysu" (six cameras, near infrared) or "regdb" (paired frames, thermal infrared).
        train_identities: number of training identities, at least 1.
        validation_identities: number of validation identities, at least 0.
        test_identities: number of test identities, at least 0.
        frames: frames per camera and identity (layout "sysu"; RegDB always has 10 + 10).
        infrared_train_frames: frames per infrared camera and training identity (layout "sysu").
        height: rows of an image in pixels, even, at least 48; an image has half as many columns.
    """

    seed: int = 0
    layout: str = "sysu"
    train_identities: int = 300
    validation_identities: int = 40
    test_identities: int = 200
    frames: int = 4
    infrared_train_frames: int = 5
    height: int = 192

    def __post_init__(self):
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout is {self.layout!r}; expected one of {LAYOUTS}.")
        lowest = {"seed": 0, "train_identities": 1, "validation_identities": 0, "test_identities": 0}
        lowest |= {"frames": 1, "infrared_train_frames": 1, "height": 48}
        for name, low in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise ValueError(f"{name} is {value!r}; expected an integer of at least {low}.")
        if self.height % 2:
            raise ValueError(
                f"height is {self.height}; expected an even number, because an image is half as wide as "
                f"it is high. Try {self.height + 1}."
            )
        if self.identities > 9999:
            raise ValueError(
                f"{self.identities} identities were asked for; the layout numbers them with four digits, "
                "so at most 9999 fit. Ask for fewer."
            )
        if self.layout == "regdb" and self.identities < 2:
            raise ValueError("RegDB's layout needs at least 2 identities: one to train on and one to test.")

    @classmethod
    def from_config(cls, world):
        """The spec of the `--world_*` flags.

        Args:
            world: a `mmgl_tf.flags.config.World`.

        Returns:
            A `WorldSpec`.
        """
        return cls(
            seed=world.world_seed,
            layout=world.world_layout,
            train_identities=world.world_train_identities,
            validation_identities=world.world_validation_identities,
            test_identities=world.world_test_identities,
            frames=world.world_frames,
            infrared_train_frames=world.world_infrared_train_frames,
            height=world.world_height,
        )

    @property
    def width(self):
        """Columns of an image in pixels: half its height."""
        return self.height // 2

    @property
    def identities(self):
        """Number of identities over all splits; they are numbered from 1."""
        return self.train_identities + self.validation_identities + self.test_identities

    @property
    def cameras(self):
        """Camera numbers of this layout."""
        if self.layout == "sysu":
            return SYSU_CAMERAS
        return (REGDB_VISIBLE_CAMERA, REGDB_THERMAL_CAMERA)

    def look(self, camera):
        """What a camera sees: "visible", "infrared" (near infrared) or "thermal"."""
        if camera not in self.cameras:
            raise ValueError(
                f"camera is {camera!r}; the {self.layout} layout has the cameras {self.cameras}."
            )
        if self.layout == "regdb":
            return "thermal" if camera == REGDB_THERMAL_CAMERA else "visible"
        return "infrared" if camera in INFRARED_CAMERAS else "visible"

    def as_dict(self):
        """The fields and the drawing version, as written to world.json."""
        return {**asdict(self), "drawing_version": DRAWING_VERSION}

    @property
    def name(self):
        """Directory name of this world: its layout, seed, sizes and a hash of every parameter."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        counts = f"{self.train_identities}-{self.validation_identities}-{self.test_identities}"
        return f"{self.layout}-seed{self.seed}-{counts}-{digest}"
