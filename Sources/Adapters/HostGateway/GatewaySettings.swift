/// Times and limits of host sessions.
package struct GatewaySettings: Hashable, Sendable {
    /// How often an agent is pinged.
    package var pingInterval: Duration = .seconds(2)
    /// A session on which nothing was heard for so long is closed, by either side.
    package var silenceLimit: Duration = .seconds(8)
    /// How long an agent may take from opening the stream to its hello.
    package var helloLimit: Duration = .seconds(10)
    /// How long an agent may take from the welcome to its inventory.
    package var inventoryLimit: Duration = .seconds(10)
    /// How long the present session of a host has to prove that it lives when another agent says hello as that host.
    package var rivalLimit: Duration = .seconds(2)
    /// How long the last words to an agent may take.
    package var goodbyeLimit: Duration = .seconds(2)
    /// How long calls may go on after the shutdown began.
    package var drainLimit: Duration = .seconds(5)
    /// How long one answer about a console log may take.
    package var consoleLimit: Duration = .seconds(10)
    /// Commands, questions included, that may be under way on one session; more are not sent.
    package var commandLimit = 256
    /// Reports of one session that may wait for the observer; with more the session ends, and its agent comes back
    /// with a whole inventory.
    package var reportLimit = 4096
    /// The most of a console log that is asked for at once, in bytes.
    package var consoleBytes = 1024 * 1024
    /// How much each live session adds to the time over which lost agents spread their redialling.
    package var redialSpreadPerSession: Duration = .milliseconds(2)

    package init() {}
}
