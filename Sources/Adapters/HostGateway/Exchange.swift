import AgentContract
import Domain

/// One question to an agent and who waits for the answer.
struct Exchange {
    let subject: Subject
    /// Whether the message was handed to the stream. From then on it may have an effect on the host.
    var handedOver = false
    let waiter: CheckedContinuation<Reply, Never>

    enum Subject: Hashable {
        case command(CommandID)
        case settle(CommandID)
        case inventory(UInt64)
        case console(UInt64)
        case ping(UInt64)
        case holdings(UInt64)
    }

    /// How an exchange ended.
    enum Reply {
        case outcome(CommandOutcome)
        case neverReceived
        case inventory(Inventory)
        case console(Result<[UInt8], Fault>)
        case pong
        case holdings(Result<HostHoldings, Fault>)
        /// It never left this node.
        case notSent(Fault)
        /// It left, and no answer came that could be read.
        case noAnswer(Fault)
    }
}
