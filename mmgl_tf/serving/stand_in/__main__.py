"""Serve an exported model on loopback, for development.

    python -m mmgl_tf.serving.stand_in --model_base_path=RUN/export/mmgl --model_name=mmgl

Options are TF Serving's where it has them. One difference: port 0 means any free port, not none; the line
that begins with "ready" says which. Stops on SIGTERM or Ctrl-C, after the requests under way.
"""

import argparse
import os
import signal
import sys
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a refused request is no news of the server's log

GRACE_SECONDS = 20.0


def options(arguments=None):
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        prog="python -m mmgl_tf.serving.stand_in",
        description="A stand-in for TF Serving, for development; TF Serving is for production.",
    )
    parser.add_argument(
        "--model_base_path", required=True, help="directory with numbered versions of the model"
    )
    parser.add_argument(
        "--model_name", default="mmgl", help="name under which it is served (default %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=8500, help="gRPC port; 0 = any free (default %(default)s)"
    )
    parser.add_argument(
        "--rest_api_port", type=int, default=8501, help="REST port; 0 = any free (default %(default)s)"
    )
    parser.add_argument(
        "--file_system_poll_wait_seconds", type=float, default=1.0, help="between looks for new versions"
    )
    parser.add_argument("--rest_api_timeout_in_ms", type=int, default=30000, help="limit of a request")
    parser.add_argument(
        "--max_request_bytes", type=int, default=32 << 20, help="of a request's body (default %(default)s)"
    )
    parser.add_argument(
        "--max_running_requests", type=int, default=os.cpu_count() or 1, help="at once (default %(default)s)"
    )
    parser.add_argument(
        "--max_waiting_requests", type=int, default=64, help="more are UNAVAILABLE (default %(default)s)"
    )
    found = parser.parse_args(arguments)
    for name in ("file_system_poll_wait_seconds", "rest_api_timeout_in_ms", "max_request_bytes"):
        if getattr(found, name) <= 0:
            parser.error(f"--{name}={getattr(found, name)}: expected more than 0")
    if found.max_running_requests < 1 or found.max_waiting_requests < 0:
        parser.error("--max_running_requests is at least 1, --max_waiting_requests at least 0")
    if not os.path.isdir(found.model_base_path):
        parser.error(f"--model_base_path={found.model_base_path} is no directory")
    return found


def say(sentence):
    """A line of the log."""
    print(sentence, flush=True)


def main(chosen):
    """Serves until told to stop; the exit status."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())

    from mmgl_tf.serving.stand_in.gate import Gate
    from mmgl_tf.serving.stand_in.rest import RestServer
    from mmgl_tf.serving.stand_in.rpc import start_rpc_server
    from mmgl_tf.serving.stand_in.served_versions import ServedVersions

    seconds = chosen.rest_api_timeout_in_ms / 1000
    gate = Gate(chosen.max_running_requests, chosen.max_waiting_requests)
    threads = chosen.max_running_requests + chosen.max_waiting_requests + 4
    versions = ServedVersions(chosen.model_base_path, chosen.model_name, say)
    rest = RestServer(chosen.rest_api_port, versions, gate, chosen.max_request_bytes, seconds)
    rpc, port = start_rpc_server(chosen.port, versions, gate, threads, chosen.max_request_bytes, seconds)
    rest.start()
    say("a stand-in for development; TF Serving is for production")
    say(f"ready: gRPC 127.0.0.1:{port} REST 127.0.0.1:{rest.server_address[1]}")
    versions.watch(chosen.file_system_poll_wait_seconds)
    stop.wait()
    say("stopping")
    ended = rpc.stop(GRACE_SECONDS)
    rest.close(GRACE_SECONDS)
    ended.wait()
    versions.close()
    say("stopped")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(options()))
    except OSError as error:
        sys.exit(f"error: {error}")
