/// An error, as RFC 9457 has it.
package struct Problem: Codable, Hashable, Sendable {
    package var type: String
    package var title: String
    package var status: Int
    package var detail: String
    /// Stable, kebab-case.
    package var code: String
    package var hint: String?
    /// The request's field that is wrong.
    package var field: String?

    package init(
        type: String, title: String, status: Int, detail: String, code: String, hint: String? = nil,
        field: String? = nil
    ) {
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.code = code
        self.hint = hint
        self.field = field
    }
}
