package import ControlPlane

/// One request, checked and read as far as its route says.
package struct Call: Sendable {
    package let caller: Caller
    let values: [String: String]
    package let query: QueryValues
    package let body: JSONBody
    let upload: BodyBytes
    /// Of `Last-Event-ID`.
    let lastEventID: String?

    /// The value in the path's place `name`; empty if the path has no such place.
    func value(_ name: String) -> String { values[name] ?? "" }
}
