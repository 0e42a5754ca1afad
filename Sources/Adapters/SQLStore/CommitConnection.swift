import Domain

/// A connection that many bodies share in one transaction, each behind a savepoint of its own.
///
/// One that cannot do what it is told throws `TransactionLost`: then the transaction is over, with everything in it.
protocol CommitConnection: AnyObject {
    var sql: any SQLConnection { get }
    /// Begins a transaction that holds off every other writer of this database, and returns the time that its rows carry.
    func begin() throws -> Timestamp
    func savepoint() throws
    func release() throws
    /// Takes back what was done since the savepoint, after `error`.
    func rollBackToSavepoint(after error: any Error) throws
    /// Ends the transaction without a trace; nothing happens when there is none.
    func rollBack()
}

/// The transaction is over, and nothing of it is kept, unless the fault says that this is not known.
struct TransactionLost: Error {
    let fault: Fault
    /// Whether the same bodies may well succeed in another one.
    var isPassing = false
}
