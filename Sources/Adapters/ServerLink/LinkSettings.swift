import Domain
package import FoundationEssentials

/// Times and limits of the agent's connection.
package struct LinkSettings: Sendable {
    /// The waits between attempts that fail: doubled each time, each one random below its ceiling.
    package var retryBase: Duration = .milliseconds(50)
    package var retryCap: Duration = .seconds(5)
    /// About how long to wait after a refusal that time alone will not change.
    package var refusedRetry: Duration = .seconds(30)
    /// How long dialling may take, up to the server's welcome.
    package var welcomeLimit: Duration = .seconds(10)
    /// A session that lived so long was no failed attempt.
    package var lasting: Duration = .seconds(10)
    /// How long commands under way may go on after the shutdown began.
    package var drainLimit: Duration = .seconds(10)
    /// Commands and questions that may be under way at once; more are rejected.
    package var commandLimit = 512
    /// Messages that may wait for the stream; with more the session ends.
    package var outboxLimit = 16384
    /// How long the next piece of an image may take.
    package var chunkLimit: Duration = .seconds(60)
    /// How often the certificate's age is looked at.
    package var renewalCheck: Duration = .seconds(3600)
    /// The wall clock that certificates are checked against.
    package var wall: @Sendable () -> Date = { Date() }

    package init() {}

    var backoff: Backoff { Backoff(base: retryBase, cap: retryCap) }
}
