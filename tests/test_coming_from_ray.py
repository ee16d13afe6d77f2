"""The README's table of Ray's public names: complete, and true of what is here."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest

import nbray
from nbray.runtime_context import RuntimeContext
from tests.ray_tables import table_between

VERDICTS = ("same", "differs", "not here")

RAY = {
    "ray": """
        __version__ _config get_runtime_context autoscaler available_resources cancel client ClientBuilder cluster_resources get
        get_actor get_gpu_ids init is_initialized java_actor_class java_function cpp_function kill Language method nodes put
        remote shutdown timeline wait SCRIPT_MODE WORKER_MODE LoggingConfig actor data internal util widgets workflow
        ActorClassID ActorID NodeID JobID WorkerID FunctionID ObjectID ObjectRef ObjectRefGenerator DynamicObjectRefGenerator
        TaskID UniqueID PlacementGroupID""",
    "ray.actor": "ActorClass ActorHandle ActorMethod exit_actor method",
    "ray.exceptions": """
        ActorAlreadyExistsError ActorDiedError ActorHandleNotFoundError ActorPlacementGroupRemoved ActorUnavailableError
        ActorUnschedulableError AsyncioActorExit AuthenticationError CrossLanguageError GetTimeoutError LocalRayletDiedError
        NodeDiedError ObjectFetchTimedOutError ObjectFreedError ObjectLostError ObjectReconstructionFailedError
        ObjectRefStreamEndOfStreamError ObjectStoreFullError OufOfBandObjectRefSerializationException OutOfDiskError
        OutOfMemoryError OwnerDiedError PendingCallsLimitExceeded PlasmaObjectNotAvailable RayActorError
        RayCgraphCapacityExceeded RayChannelError RayChannelTimeoutError RayDirectTransportError RayError RaySystemError
        RayTaskError ReferenceCountingAssertionError RpcError RuntimeEnvSetupError StreamingGeneratorReplayInconsistentError
        TaskCancelledError TaskPlacementGroupRemoved TaskUnschedulableError UnserializableException UserCodeException
        WorkerCrashedError""",
    "ray.util": """
        accelerators ActorPool as_completed disable_log_once_globally enable_periodic_logging iter log_once pdb placement_group
        placement_group_table get_placement_group get_current_placement_group get_node_instance_id get_node_ip_address
        map_unordered remove_placement_group ray_debugpy inspect_serializability collective connect disconnect
        register_serializer deregister_serializer list_named_actors""",
    "ray.util.state": """
        get_actor get_log get_node get_objects get_placement_group get_task get_worker get_job list_actors list_jobs list_nodes
        list_placement_groups list_tasks list_workers list_objects list_runtime_envs list_logs list_cluster_events
        summarize_actors summarize_objects summarize_tasks StateApiClient""",
    "ray.util.queue": "Queue Empty Full",
    "ray.util.multiprocessing": "Pool",
    "ray.util.joblib": "register_ray",
    "ray.util.scheduling_strategies": """
        PlacementGroupSchedulingStrategy NodeAffinitySchedulingStrategy NodeLabelSchedulingStrategy""",
    "ray.util.metrics": "Counter Gauge Histogram",
    "ray.runtime_env": "RuntimeEnv",
    "ray.runtime_context": "RuntimeContext",
    "RuntimeContext": """
        actor_id current_actor current_placement_group_id gcs_address get get_accelerator_ids get_actor_id get_actor_name
        get_assigned_resources get_job_id get_node_id get_node_labels get_placement_group_id get_resource_ids
        get_runtime_env_string get_session_name get_task_function_name get_task_id get_task_name get_temp_dir get_worker_id
        is_canceled job_id namespace node_id runtime_env should_capture_child_tasks_in_placement_group task_id
        was_current_actor_reconstructed""",
}  # fmt: skip
"""The public names of Ray 2.60's Core, by where they are: its `__all__`s, the exceptions, what its documentation imports."""

NAMES = {f"{place}.{name}" for place, names in RAY.items() for name in names.split()}

INSTALLED = ["ray", "ray.util", "ray.util.state"]
"""Where an installed Ray is asked for its `__all__`."""


def rows() -> dict[str, tuple[str, str]]:
    return table_between("## Coming from Ray", "## Figures")


def resolve(name: str) -> Any:
    """What is here under a name of Ray's; None where nothing is."""
    place, *rest = name.split(".")
    thing: Any = RuntimeContext if place == "RuntimeContext" else nbray
    path = place.replace("ray", "nbray")
    for part in rest:
        path = f"{path}.{part}"
        following = getattr(thing, part, None)
        if following is None:
            try:
                following = importlib.import_module(path)
            except ImportError:
                return None
        thing = following
    return thing


def test_every_name_of_rays_core_is_in_the_table_and_no_other() -> None:
    assert set(rows()) - {"ray.util"} == NAMES - {"ray.util"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_table_tells_the_truth(name: str) -> None:
    verdict, explanation = rows()[name]
    assert verdict in VERDICTS
    assert (resolve(name) is not None) == (verdict != "not here"), f"{name}: {verdict}"
    assert explanation or verdict == "same", "say how, or what to use instead"


def test_what_is_public_here_and_has_rays_name_is_in_the_table() -> None:
    shared = {f"ray.{name}" for name in nbray.__all__} & NAMES
    assert {name for name in shared if rows()[name][0] == "not here"} == set()
    assert {"ray.get", "ray.remote", "ray.kill", "ray.timeline"} <= shared


def test_the_list_has_what_an_installed_ray_offers() -> None:
    if importlib.util.find_spec("ray") is None:  # the tests' own environment has none
        return
    for place in INSTALLED:
        offered = importlib.import_module(place).__all__
        assert {f"{place}.{name}" for name in offered} - NAMES == set()
