/// What a job needs beyond its VM, host and epoch. Stored as versioned JSON.
package struct JobPayload: Hashable, Sendable, Codable {
    /// The version of this shape. A release reads its own and all earlier ones; of a later one it knows nothing but the
    /// number, and leaves the job alone.
    ///
    /// A new field that a release may overlook needs no new version. Whatever changes what is done does.
    package static let currentVersion = 1

    package private(set) var version: Int = Self.currentVersion
    package var mode: StopMode?
    /// How long a graceful stop waits for the guest, seconds.
    package var timeout: Int?
    /// Whether what cannot be done now may be left to a GC job.
    package var isDeferrable: Bool?
    /// The VM's root disk goes too, and its record with it.
    package var removesDisk: Bool?
    /// The command that the job sends. Attempts repeat it under the same id until its end is known; after an end that
    /// calls for another try it gets a fresh one.
    package var command: CommandID?
    /// Where a move leads.
    package var destination: Placement?
    /// How a live guest moves; nil for a move that stops it here and starts it there.
    package var migration: MigrationOptions?
    /// The command that a move sends to its destination.
    package var arrivalCommand: CommandID?
    /// The guest that moves was paused when its move was granted, and stays so.
    package var isPaused: Bool?
    /// Somebody asked that the move be broken off.
    package var isCancelRequested: Bool?
    /// The epoch that was granted for a domain that is to be adopted.
    package var grantedEpoch: Epoch?
    /// How far the move has come, as the source's agent last told.
    package var progress: MigrationProgress?
    /// The drain of a host that asked for this work.
    package var drain: JobID?
    /// Whether a drain stops the guests that it cannot move.
    package var stopsImmovable: Bool?
    /// How far a drain has come.
    package var drained: DrainProgress?

    package init(
        mode: StopMode? = nil, timeout: Int? = nil, isDeferrable: Bool? = nil, removesDisk: Bool? = nil,
        command: CommandID? = nil, destination: Placement? = nil, migration: MigrationOptions? = nil,
        arrivalCommand: CommandID? = nil
    ) {
        self.mode = mode
        self.timeout = timeout
        self.isDeferrable = isDeferrable
        self.removesDisk = removesDisk
        self.command = command
        self.destination = destination
        self.migration = migration
        self.arrivalCommand = arrivalCommand
    }

    /// The same in this release's version: from an older one it was read, and in this one it is written again.
    package var atCurrentVersion: JobPayload {
        var payload = self
        payload.version = Self.currentVersion
        return payload
    }
}

/// Work that this release cannot do, because it cannot read it: a newer one wrote it, or its row is damaged. It is kept as
/// it is stored, and never done.
package struct UnreadableWork: Hashable, Sendable {
    /// The stored name of its kind.
    package let kind: String
    /// The stored text of its payload.
    package let payload: String
    /// One sentence for people.
    package let reason: String

    package init(kind: String, payload: String, reason: String) {
        self.kind = kind
        self.payload = payload
        self.reason = reason
    }
}
