import Testing

@testable import APIServer

/// Each bad input gets a clear error, and nothing changes.
@Suite struct BadInputTests {
    private static let bodies: [(String, String, String?)] = [
        (#"{"name":"a","image":"i","cpus":1,"memory":64,"colour":"red"}"#, "invalid-field", "colour"),
        (#"{"name":"a","image":"i","cpus":"1","memory":64}"#, "invalid-field", "cpus"),
        (#"{"name":"a","image":"i","cpus":1.5,"memory":64}"#, "invalid-field", "cpus"),
        (#"{"name":"a","image":"i","cpus":1e3,"memory":64}"#, "invalid-field", "cpus"),
        (#"{"name":7,"image":"i","cpus":1,"memory":64}"#, "invalid-field", "name"),
        (#"{"name":"","image":"i","cpus":1,"memory":64}"#, "invalid-field", "name"),
        (
            #"{"name":"\#(String(repeating: "a", count: 300))","image":"i","cpus":1,"memory":64}"#, "invalid-field",
            "name"
        ),
        (#"{"name":"a","image":"i","cpus":1,"memory":0}"#, "invalid-field", "memory"),
        (#"{"name":"a","image":"i","cpus":1,"memory":1000000000000}"#, "invalid-field", "memory"),
        (#"{"name":"a","image":"i","cpus":1}"#, "invalid-field", "memory"),
        (#"{"name":"a","image":"i","cpus":1,"memory":64"#, "invalid-body", nil),
        (#"{"name":"a","name":"b","image":"i","cpus":1,"memory":64}"#, "invalid-body", nil),
        (#"[]"#, "invalid-body", nil), (#"{}x"#, "invalid-body", nil), ("", "invalid-body", nil),
    ]

    @Test func `each wrong body is a 400 that names the field, and nothing is made`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            for (body, code, field) in Self.bodies {
                let answer = try await server.send("POST", "/v1/vms", body: body)
                #expect(answer.status == 400 && answer.isProblem, "\(body.prefix(80)): \(answer.text)")
                #expect(answer.code == code, "\(body.prefix(80))")
                #expect(answer.json["field"]?.text == field, "\(body.prefix(80))")
            }
            #expect(try await server.send("GET", "/v1/vms").json["items"] == .array([]))
        }
    }

    @Test func `a body that is not said to be JSON is a 400`() async throws {
        try await TestServer.run { server in
            let answer = try await server.send(
                "POST", "/v1/hosts", body: #"{"name":"h1"}"#, headers: [("Content-Type", "text/plain")])
            #expect(answer.status == 400 && answer.code == "invalid-body")
        }
    }

    @Test func `a body that is announced too large is refused unread`() async throws {
        try await TestServer.run { server in
            let connection = try await RawConnection.open(port: server.port)
            let head =
                "POST /v1/vms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(TestServer.token)\r\n"
                + "Content-Type: application/json\r\nContent-Length: 10485760\r\n\r\n"
            await connection.write(Array(head.utf8))
            let answer = RawAnswer(text: await connection.read { $0.contains("body-too-large") })
            #expect(answer.status == 413 && answer.code == "body-too-large" && answer.isProblem)
            #expect(answer.header("connection") == "close")
        }
    }

    @Test func `a body of 10 MB is not read whole, and its sender still reads the answer`() async throws {
        try await TestServer.run { server in
            for framing in ["Content-Length: 10485760", "Transfer-Encoding: chunked"] {
                let connection = try await RawConnection.open(port: server.port)
                let head =
                    "POST /v1/vms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(TestServer.token)\r\n"
                    + "Content-Type: application/json\r\n\(framing)\r\n\r\n"
                await connection.write(Array(head.utf8))
                let isChunked = framing.hasPrefix("T")
                let piece =
                    (isChunked ? "10000\r\n" : "") + String(repeating: " ", count: 65_536) + (isChunked ? "\r\n" : "")
                for _ in 0..<160 { await connection.write(Array(piece.utf8)) }
                let answer = RawAnswer(text: await connection.read())
                #expect(answer.status == 413 && answer.code == "body-too-large", "\(framing): \(answer.text)")
            }
            #expect(try await server.send("GET", "/v1/version").status == 200)
        }
    }

    @Test func `a body that ends before its length is a 400`() async throws {
        try await TestServer.run { server in
            let head =
                "POST /v1/hosts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(TestServer.token)\r\n"
                + "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"name\":\"h1\"}"
            let answer = try await server.exchange(Array(head.utf8), closesOutput: true)
            #expect(answer.status == 400, "\(answer.text)")
            #expect(try await server.send("GET", "/v1/hosts").json["items"] == .array([]))
        }
    }

    @Test func `without a valid token nothing under v1 answers`() async throws {
        try await TestServer.run { server in
            for token in [nil, "wrong", ""] as [String?] {
                for path in ["/v1/vms", "/v1/nothing", "/v1/openapi.json", "/v1"] {
                    let answer = try await server.send("GET", path, token: token)
                    #expect(answer.status == 401 && answer.code == "unauthenticated" && answer.isProblem)
                    #expect(answer.header("www-authenticate")?.hasPrefix("Bearer") == true)
                }
            }
        }
    }

    @Test func `unknown paths, methods and parameters are told apart`() async throws {
        try await TestServer.run { server in
            for path in ["/v1/nothing", "/", "/v2/vms", "/v1/vms/a/b/c/d"] {
                let answer = try await server.send("GET", path)
                #expect(answer.status == 404 && answer.isProblem)
            }
            let method = try await server.send("PATCH", "/v1/vms")
            #expect(method.status == 405 && method.code == "method-not-allowed")
            #expect(method.header("allow") == "GET, HEAD, POST")
            let query = try await server.send("GET", "/v1/vms?colour=red")
            #expect(query.status == 400 && query.json["field"]?.text == "colour")
            #expect(try await server.send("GET", "/v1/vms?limit=501").json["field"]?.text == "limit")
            #expect(try await server.send("GET", "/v1/vms?cursor=xyz").json["field"]?.text == "cursor")
            #expect(try await server.send("GET", "/v1/vms/none").code == "not-found")
            #expect(try await server.send("GET", "/v1/vms/%zz").status == 404)
            #expect(try await server.send("POST", "/v1/vms/none/actions/start").code == "not-found")
        }
    }

    @Test func `a head that is too large ends the connection without harm`() async throws {
        try await TestServer.run { server in
            let answer = try await server.send(
                "GET", "/v1/vms", headers: [("X-Long", String(repeating: "a", count: 100_000))])
            #expect(answer.status == 400 || answer.text.isEmpty, "\(answer.text)")
            #expect(try await server.send("GET", "/healthz", token: nil).status == 200)
        }
    }

    @Test func `files that are no image are refused by name, and leave nothing`() async throws {
        try await TestServer.run { server in
            #expect(try await server.send("POST", "/v1/images", body: #"{"name":"i","kind":"disk"}"#).status == 201)
            let junk = try await server.send(
                "PUT", "/v1/images/i/files/disk", body: "hello", headers: [("Content-Type", "application/octet-stream")]
            )
            #expect(junk.status == 422 && junk.code == "image-invalid" && junk.isProblem)
            #expect(try await server.send("PUT", "/v1/images/i/files/kernel", body: "x").status == 400)
            #expect(try await server.send("PUT", "/v1/images/i/files/nothing", body: "x").status == 404)
            #expect(try await server.send("PUT", "/v1/images/i/files/disk", body: "").code == "image-invalid")
            #expect(try await server.send("GET", "/v1/images/i").json["state"]?.text == "incomplete")
        }
    }
}
