/// One step of the schema. Its statements cannot be seen from outside, so that nothing but `Schema` runs them.
struct Migration: Sendable {
    /// 1, 2, 3 … without a gap.
    let version: Int
    let name: String
    /// The oldest schema version whose release goes on working on a database with this step, so that servers of both may run
    /// on it. The step's own, where what it changes would be misread.
    let oldestReader: Int
    private let statements: [String]

    init(_ version: Int, _ name: String, oldestReader: Int? = nil, _ statements: [String]) {
        self.version = version
        self.name = name
        self.oldestReader = oldestReader ?? version
        self.statements = statements
    }

    func apply(to sql: any SQLConnection) throws {
        for statement in statements { try sql.execute(statement) }
    }
}
