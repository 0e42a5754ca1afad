import ControlPlane
import Domain
import Testing

@testable import APIServer

/// The servers of a database, over a real port.
@Suite struct NodesTests {
    @Test func `each node is listed with its lag, its sessions and what waits for it`() async throws {
        try await TestServer.run { server in
            #expect(try await server.send("GET", "/v1/nodes").json["items"]?.elements.isEmpty == true)
            let host = try await server.addHost("h1", connection: .connected)
            _ = try await server.addHost("h2", connection: .connected)
            let since = try await server.database.write("nodes") { tx in
                for (name, beat) in [("a", Int64(4)), ("b", 0)] {
                    try tx.insert(
                        Node(
                            id: "\(name)-1", place: name, name: name, version: "1.0", beat: beat, startedAt: tx.now,
                            seenAt: tx.now.adding(.seconds(-90))))
                }
                if var row = try tx.host(host.id) {
                    row.node = "a-1"
                    _ = try tx.replace(row, atRevision: row.revision)
                }
                try tx.leave(Errand(id: "1", node: "a-1", host: host.id, request: "?"))
                return tx.now
            }
            let answer = try await server.send("GET", "/v1/nodes")
            #expect(answer.status == 200)
            let items = try #require(answer.json["items"]?.elements)
            #expect(items.count == 2)
            #expect(items[0]["id"] == "a-1" && items[0]["name"] == "a" && items[0]["version"] == "1.0")
            let lag = try #require(items[0]["lag"]?.text ?? String(describing: items[0]["lag"]))
            #expect(lag.contains("90") || lag.contains("91"), "\(lag)")
            #expect(items[0]["hosts"]?.elements.map(\.text) == [host.id.rawValue])
            #expect(items[0]["waitingErrands"] == 1)
            #expect(items[0]["errandsSince"]?.text == since.rfc3339)
            // It has no others that it would tell.
            #expect(items[1]["lag"] == .null && items[1]["hosts"]?.elements.isEmpty == true)
            #expect(items[1]["waitingErrands"] == 0 && items[1]["errandsSince"] == .null)
            #expect(try await server.send("GET", "/v1/nodes", token: nil).status == 401)
        }
    }
}
