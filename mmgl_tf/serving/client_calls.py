"""What both clients of a served model share: batches, retries within a time limit, one class of errors."""

import random
import time
from pathlib import Path

import numpy as np

MODALITY_CODES = {"visible": 0, "infrared": 1}
# Statuses after which the same request may succeed a moment later; anything else would fail again.
WORTH_ANOTHER_TRY = ("UNAVAILABLE", "DEADLINE_EXCEEDED")


class ServingError(OSError):
    """A served model refused a request, or could not be reached.

    Attributes:
        status: name of the gRPC status, over REST too: "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE", ...
        cause: what the server, or the network, said.
    """

    def __init__(self, status, cause):
        super().__init__(f"{status}: {cause}")
        self.status = status
        self.cause = cause


class Client:
    """A client of one model; `RestClient` and `GrpcClient` say how a request travels.

    Safe to share between threads.

    Args:
        host: name or address of the server.
        port: of the server.
        model_name: as the server knows it.
        version: version to ask; None = whichever the server serves.
        batch_size: images in a request; at most the server's largest allowed batch.
        timeout_seconds: limit of one request with all its tries, and of each wait between them.
        attempt_seconds: limit of a single try.
        first_wait_seconds: before the second try; doubled each time, up to 2 s, and drawn between half of
            it and all of it, so that refused clients do not come back at the same moment.
    """

    LONGEST_WAIT_SECONDS = 2.0

    def __init__(
        self,
        host,
        port,
        model_name,
        version=None,
        batch_size=8,
        timeout_seconds=60.0,
        attempt_seconds=30.0,
        first_wait_seconds=0.1,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected at least 1")
        self.host, self.port = host, port
        self.model_name, self.version = model_name, version
        self.batch_size = batch_size
        self.timeout_seconds = timeout_seconds
        self.attempt_seconds = attempt_seconds
        self.first_wait_seconds = first_wait_seconds

    @property
    def address(self):
        """host:port, with an IPv6 address in the brackets that tell its colons from the port's."""
        bare = ":" in self.host and not self.host.startswith("[")
        return f"[{self.host}]:{self.port}" if bare else f"{self.host}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def embed(self, images, modality=None):
        """Embeds images, in batches and in order.

        Args:
            images: N encoded images (JPEG, PNG or BMP) as bytes, or paths of such files.
            modality: "visible", "infrared" or their codes 0 and 1: one for all, or N of them. None for a
                model that does not ask.

        Returns:
            float32 [N, D], unit length; [0, 0] for no images.

        Raises:
            ServingError: a request failed, and so did the whole call. One unreadable image fails it too.
            ValueError: the number of modalities is not N, or a name is unknown.
        """
        codes = _modality_codes(modality, len(images))
        parts = []
        for start in range(0, len(images), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            batch = [_content(image) for image in images[chosen]]
            parts.append(self.predict(batch, None if codes is None else codes[chosen]))
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def predict(self, batch, codes):
        """One request, with retries; see `embed`, which splits what it is given."""
        found = self._until_answered(lambda seconds: self._predict(batch, codes, seconds))
        if found.ndim != 2:
            raise ServingError("INTERNAL", f"no embeddings: expected [N, D] numbers, got {found.shape}")
        if len(found) != len(batch):
            raise ServingError("INTERNAL", f"{len(batch)} images were sent, {len(found)} came back")
        return found

    def status(self):
        """Versions of the model.

        Returns:
            {version: state}, largest version first; a state is "AVAILABLE", "LOADING", "UNLOADING" or "END".

        Raises:
            ServingError: the server does not know the model, or was not reached.
        """
        found = self._until_answered(self._status)
        return dict(sorted(found.items(), reverse=True))

    def metadata(self):
        """What the model takes and gives.

        Returns:
            {"version": int, "signatures": {name: {"inputs": {name: (dtype, shape)}, "outputs": ...}}}; a
            dtype is e.g. "DT_STRING", a shape a tuple with -1 for an unknown size.
        """
        return self._until_answered(self._metadata)

    def wait_until_available(self, seconds=60.0):
        """Waits until some version (or the client's own) can be asked.

        Raises:
            ServingError: it cannot after so many seconds.
        """
        limit = time.monotonic() + seconds
        while True:
            try:
                found = self._status(min(self.attempt_seconds, max(0.1, limit - time.monotonic())))
                last = ServingError("UNAVAILABLE", f"{self.model_name} has versions {found}")
                if "AVAILABLE" in found.values():
                    return
            except ServingError as error:
                last = error
            if time.monotonic() >= limit:
                raise last
            time.sleep(0.1)

    def close(self):
        """Closes the connections."""
        raise NotImplementedError

    def _until_answered(self, attempt):
        """The result of attempt(seconds left for it), tried again where that can help."""
        limit = time.monotonic() + self.timeout_seconds
        wait, tries = self.first_wait_seconds, 0
        while True:
            tries += 1
            left = limit - time.monotonic()
            try:
                return attempt(max(0.001, min(self.attempt_seconds, left)))
            except ServingError as error:
                pause = wait * random.uniform(0.5, 1.0)
                if error.status not in WORTH_ANOTHER_TRY or time.monotonic() + pause >= limit:
                    if tries == 1:
                        raise
                    raise ServingError(error.status, f"{error.cause} (after {tries} tries)") from error
            time.sleep(pause)
            wait = min(2.0 * wait, self.LONGEST_WAIT_SECONDS)


def _content(image):
    return image if isinstance(image, bytes) else Path(image).read_bytes()


def _modality_codes(modality, number):
    """None, or `number` codes."""
    if modality is None:
        return None
    if isinstance(modality, (str, int, np.integer)):
        modality = [modality] * number
    if len(modality) != number:
        raise ValueError(
            f"{number} images with {len(modality)} modalities; give one for all, or one for each"
        )
    unknown = {name for name in modality if isinstance(name, str)} - set(MODALITY_CODES)
    if unknown:
        raise ValueError(
            f"unknown modality {sorted(unknown)}; expected {', '.join(MODALITY_CODES)}, or 0 and 1"
        )
    return [MODALITY_CODES[name] if isinstance(name, str) else int(name) for name in modality]
