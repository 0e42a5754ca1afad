import ControlPlane

/// A body that waits for its turn in a commit, and its caller, who waits for the commit.
struct PendingWrite: Sendable {
    let label: String
    /// Runs the body; what it returns tells the caller that its result is durable.
    let run: @Sendable (SQLTransaction) throws -> @Sendable () -> Void
    /// Tells the caller that nothing was kept.
    let fail: @Sendable (any Error) -> Void

    init<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result,
        _ caller: CheckedContinuation<Result, any Error>
    ) {
        self.label = label
        run = { transaction in
            let result = try body(transaction)
            return { caller.resume(returning: result) }
        }
        fail = { caller.resume(throwing: $0) }
    }
}
