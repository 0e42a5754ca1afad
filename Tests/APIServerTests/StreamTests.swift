import ControlPlane
import Domain
import Testing

@testable import APIServer

/// Streams, waits and the server's end.
@Suite struct StreamTests {
    private func subscribe(_ server: TestServer, _ path: String, headers: String = "") async throws -> RawConnection {
        let connection = try await RawConnection.open(port: server.port)
        await connection.write(
            Array(
                "GET \(path) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(TestServer.token)\r\n\(headers)\r\n".utf8))
        return connection
    }

    @Test func `events come in order, each with id, kind and data, and a stream resumes without a gap`() async throws {
        try await TestServer.run { server in
            let live = try await subscribe(server, "/v1/events")
            let start = await live.read { $0.contains("retry: 1000") }
            #expect(
                start.contains("content-type: text/event-stream") || start.contains("Content-Type: text/event-stream"))
            for name in ["h1", "h2"] {
                #expect(try await server.send("POST", "/v1/hosts", body: "{\"name\":\"\(name)\"}").status == 201)
            }
            let seen = await live.read { $0.contains("Host h2") }
            #expect(seen.contains("event: host.added\ndata: {"), "\(seen)")
            let ids = seen.matches(of: #/id: (\d+)/#).compactMap { Int($0.1) }
            try #require(ids.count == 2, "\(seen)")
            #expect(ids[1] == ids[0] + 1)
            for (path, headers) in [
                ("/v1/events?after=\(ids[0])", ""), ("/v1/events", "Last-Event-ID: \(ids[0])\r\n"),
            ] {
                let resumed = await (try subscribe(server, path, headers: headers)).read { $0.contains("Host h2") }
                #expect(resumed.contains("id: \(ids[1])\n") && !resumed.contains("Host h1"))
            }
            #expect(try await server.send("GET", "/v1/events", headers: [("Last-Event-ID", "x")]).status == 400)
        }
    }

    @Test func `who asks for events that are not kept any more is told so, and not given the rest`() async throws {
        try await TestServer.run { server in
            for number in 1...4 {
                try await server.database.write("test.tell") {
                    try $0.append(Event(kind: "test", message: "number \(number)"))
                }
            }
            try await server.database.write("test.forget") { tx in
                let removed = try tx.removeEvents(before: tx.now.adding(.seconds(60)), limit: 2)
                #expect(removed == 2)
            }
            let expired = try await server.send("GET", "/v1/events", headers: [("Last-Event-ID", "1")])
            #expect(expired.status == 410 && expired.code == "events-expired", "\(expired.text)")
            #expect(expired.json["hint"]?.text?.contains("present state") == true)
            #expect(try await server.send("GET", "/v1/events?after=1").status == 410)
            // All that comes after the second is kept, and 0 asks for what there is.
            for path in ["/v1/events?after=2", "/v1/events?after=0"] {
                let kept = await (try subscribe(server, path)).read { $0.contains("number 4") }
                #expect(kept.contains("id: 3\n") && kept.contains("id: 4\n") && !kept.contains("id: 2\n"))
            }
            try await server.database.write("test.forget") { tx in
                let removed = try tx.removeEvents(before: tx.now.adding(.seconds(60)), limit: 9)
                #expect(removed == 2)
            }
            #expect(try await server.send("GET", "/v1/events?after=3").status == 410)
            let live = try await subscribe(server, "/v1/events?after=4")
            _ = await live.read { $0.contains("retry: 1000") }
            try await server.database.write("test.tell") { try $0.append(Event(kind: "test", message: "number 5")) }
            #expect(await live.read { $0.contains("number 5") }.contains("id: 5\n"))
        }
    }

    @Test func `a silent stream says that it is alive`() async throws {
        var limits = HTTPLimits()
        limits.heartbeat = .milliseconds(50)
        try await TestServer.run(limits: limits) { server in
            let text = await (try subscribe(server, "/v1/events")).read { $0.contains(": still here") }
            #expect(text.contains(": still here\n\n"))
        }
    }

    @Test func `a server that is asked to stop ends streams and waits at once`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await server.addHost("h1", connection: .connected)
            _ = try await server.send("POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
            let stream = try await subscribe(server, "/v1/events")
            _ = await stream.read { $0.contains("retry: 1000") }
            let waiting = try await RawConnection.open(port: server.port)
            await waiting.write(
                Array(
                    ("POST /v1/vms/a/actions/start?wait=300 HTTP/1.1\r\nHost: x\r\n"
                        + "Authorization: Bearer \(TestServer.token)\r\n\r\n").utf8))
            // The start is accepted before the wait begins, so its event says that the wait is on.
            _ = await stream.read { $0.contains("vm.starting") }
            let clock = ContinuousClock()
            let before = clock.now
            await server.stop()
            let answer = RawAnswer(text: await waiting.read())
            #expect(answer.status == 202 && answer.json["state"] == "pending", "\(answer.text)")
            _ = await stream.read()
            #expect(clock.now - before < .seconds(5))
        }
    }

    @Test func `a wait ends when the operation does`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await server.addHost("h1", connection: .connected)
            _ = try await server.send("POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
            let started = try await server.send("POST", "/v1/vms/a/actions/start")
            let place = try #require(started.header("location"))
            async let answer = server.send("GET", "\(place)?wait=60")
            // A stronger wish ends the start without any host.
            let destroyed = try await server.send("DELETE", "/v1/vms/a")
            #expect(destroyed.status == 202, "\(destroyed.text)")
            #expect(try await answer.json["state"] == "superseded")
        }
    }

    @Test func `a request head that never ends loses its connection`() async throws {
        var limits = HTTPLimits()
        limits.idle = .milliseconds(200)
        try await TestServer.run(limits: limits) { server in
            let connection = try await RawConnection.open(port: server.port)
            await connection.write(Array("GET /v1/version HTTP/1.1\r\nHost: x\r\n".utf8))
            #expect(await connection.read() == "")
        }
    }

    @Test func `a JSON body that takes too long loses its connection`() async throws {
        var limits = HTTPLimits()
        limits.bodyTime = .milliseconds(200)
        try await TestServer.run(limits: limits) { server in
            let connection = try await RawConnection.open(port: server.port)
            await connection.write(
                Array(
                    ("POST /v1/hosts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(TestServer.token)\r\n"
                        + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{").utf8))
            _ = await connection.read()
            #expect(try await server.send("GET", "/v1/hosts").json["items"] == .array([]))
        }
    }
}
