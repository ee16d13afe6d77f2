"""Every error of nbray under the names by which Ray's users know them: `except nbray.exceptions.RayTaskError`."""

from __future__ import annotations

from nbray import errors
from nbray.errors import *  # noqa: F403 - nbray's own names are here too

RayError = errors.NbrayError
RayTaskError = errors.RemoteError
RayActorError = ActorDiedError = ActorUnavailableError = errors.ActorDied
ActorAlreadyExistsError = ActorHandleNotFoundError = RuntimeEnvSetupError = errors.UsageError
PendingCallsLimitExceeded = errors.ClusterError
WorkerCrashedError = errors.WorkerDied
OutOfMemoryError = errors.OutOfMemory
ObjectLostError = ObjectFreedError = OwnerDiedError = ReferenceCountingAssertionError = errors.ObjectLost
ObjectReconstructionFailedError = ObjectFetchTimedOutError = errors.ObjectLost
ObjectStoreFullError = OutOfDiskError = errors.StoreFull
TaskPlacementGroupRemoved = ActorPlacementGroupRemoved = errors.PlacementGroupRemoved
TaskUnschedulableError = ActorUnschedulableError = errors.InfeasibleRequest
RaySystemError = errors.InternalError
LocalRayletDiedError = NodeDiedError = errors.ClusterDied
UnserializableException = errors.NotShippable
AuthenticationError = errors.ClusterError
