/// One step of the schema. Its statements cannot be seen from outside, so that nothing but `Schema` runs them.
struct Migration: Sendable {
    /// 1, 2, 3 … without a gap.
    let version: Int
    let name: String
    private let statements: [String]

    init(_ version: Int, _ name: String, _ statements: [String]) {
        self.version = version
        self.name = name
        self.statements = statements
    }

    func apply(to sql: any SQLConnection) throws {
        for statement in statements { try sql.execute(statement) }
    }
}
