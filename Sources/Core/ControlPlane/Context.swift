package import Domain
package import Logging

/// What every use case and workflow works with.
package struct Context: Sendable {
    package let database: any Database
    package let sessions: any HostSessions
    /// Who this process is.
    package let node: NodeIdentity
    package let time: any TimeSource
    package let ids: any IDSource
    package let random: any RandomSource
    package let faults: any FaultPoints
    package let feed: CommitFeed
    package let settings: ControlSettings
    package let logger: Logger

    package init(
        database: any Database, sessions: any HostSessions, time: any TimeSource, ids: any IDSource,
        random: any RandomSource, faults: any FaultPoints, feed: CommitFeed, settings: ControlSettings,
        logger: Logger, node: NodeIdentity? = nil
    ) {
        self.database = database
        self.sessions = sessions
        self.node = node ?? NodeIdentity(settings.node)
        self.time = time
        self.ids = ids
        self.random = random
        self.faults = faults
        self.feed = feed
        self.settings = settings
        self.logger = logger
    }
}

/// Durations and limits of the control plane.
package struct ControlSettings: Sendable {
    /// This node's name.
    package var node: String
    /// How long an agent may take to start a domain before the end counts as unknown.
    package var startLimit: Duration = .seconds(60)
    /// The same for a stop, on top of the guest's own time.
    package var stopLimit: Duration = .seconds(20)
    /// How long an operation that may not be deferred is sent again after its end was lost.
    package var resendLimit: Duration = .seconds(60)
    /// How long a user's stop waits for the inventory that a missing domain triggers.
    package var inventoryLimit: Duration = .seconds(10)
    /// Waits between attempts that failed.
    package var retry = Backoff(base: .seconds(1), cap: .seconds(60))
    /// Waits of a job whose host cannot be asked; the host's next session comes first.
    package var hostRetry: Duration = .seconds(60)
    /// How often the engine looks for due work that no wake-up announced.
    package var sweepInterval: Duration = .seconds(5)
    /// How many jobs run at once. A job that waits for a host holds little but its place: a guest that takes its time to
    /// power off must not keep another VM waiting for one.
    package var concurrentJobs = 4096
    /// How many guests a drain moves from one host at once; the others keep their place at the destination meanwhile.
    package var concurrentDrainMoves = 2
    /// How many moves of a guest may fail before a drain that may stop guests stops it.
    package var drainMoveTries = 3
    /// How much of its hosts is handed out.
    package var capacity = CapacityPolicy()
    /// How long a join token can be used.
    package var joinTokenLifetime: Duration = .seconds(3600)
    /// How long a destroyed VM is kept, with its root disk, before it is expunged; zero: not at all.
    package var keepDestroyed: Duration = .seconds(24 * 3600)
    /// How long jobs are kept that did what they were for.
    package var jobRetention: Duration = .seconds(7 * 24 * 3600)
    /// How long jobs are kept that failed, or were superseded or cancelled.
    package var failedJobRetention: Duration = .seconds(30 * 24 * 3600)
    /// How long events are kept.
    package var eventRetention: Duration = .seconds(30 * 24 * 3600)
    /// How long a request is remembered by its idempotency key.
    package var requestRetention: Duration = .seconds(24 * 3600)
    /// The address that hosts dial, as `roost host add` prints it.
    package var agentAddress: String = "127.0.0.1:7443"

    package init(node: String) { self.node = node }
}
