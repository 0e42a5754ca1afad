import Domain
import Foundation
import Testing

@testable import APIServer

/// The API as it behaves, over a real port.
@Suite struct ContractTests {
    @Test func `the document describes what answers, and every path but three asks for a token`() async throws {
        try await TestServer.run { server in
            let document = try await server.send("GET", "/v1/openapi.json")
            #expect(document.status == 200)
            let json = try JSONParser.parse(Array(document.body.utf8), depthMax: 64)
            #expect(json["openapi"] == "3.1.0")
            let paths = try #require(json["paths"]).members
            #expect(paths.count >= 25)
            var open: [String] = []
            for path in paths {
                let concrete = path.name.replacing(#/\{\w+\}/#, with: "none")
                for operation in path.value.members {
                    let method = operation.name.uppercased()
                    if path.name == "/v1/events" { continue }  // Its stream is tested on its own.
                    let answer = try await server.send(method, concrete)
                    let isRoute =
                        answer.status != 405 && answer.json["detail"]?.text?.hasPrefix("There is nothing at") != true
                    #expect(isRoute, "\(method) \(path.name): \(answer.status)")
                    let refusal = try await server.send(method, concrete, token: nil)
                    if refusal.status != 401 { open.append(path.name) }
                }
            }
            #expect(open.sorted() == ["/healthz", "/metrics", "/readyz"])
            #expect(try await server.send("GET", "/v1/events", token: nil).status == 401)
        }
    }

    @Test func `the document's references lead somewhere and its operations have names of their own`() async throws {
        try await TestServer.run { server in
            let json = try await server.send("GET", "/v1/openapi.json").json
            let schemas = Set(try #require(json["components"]?["schemas"]).members.map(\.name))
            let text = String(decoding: json.encoded, as: UTF8.self)
            for match in text.matches(of: #/#\/components\/schemas\/(\w+)/#) {
                #expect(schemas.contains(String(match.1)), "\(match.1)")
            }
            let names = server.table.routes.map(\.name)
            #expect(Set(names).count == names.count)
        }
    }

    @Test func `a VM is created, shown by id and name, listed and tagged`() async throws {
        try await TestServer.run { server in
            let image = try await server.addImage("i")
            let made = try await server.send(
                "POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
            #expect(made.status == 201 && made.header("etag") == "\"1\"")
            let id = try #require(made.json["id"]?.text)
            #expect(made.header("location") == "/v1/vms/\(id)")
            #expect(made.json["image"]?.text == image.id.rawValue)
            #expect(made.json["host"] == .null && made.json["state"] == "created" && made.json["epoch"] == 0)
            #expect(made.json["createdAt"]?.text?.hasSuffix("Z") == true)
            for reference in [id, "a"] {
                let shown = try await server.send("GET", "/v1/vms/\(reference)")
                #expect(shown.status == 200 && shown.json == made.json)
            }
            #expect(try await server.send("GET", "/v1/vms?state=created&image=i").json["items"]?.elements.count == 1)
            #expect(try await server.send("GET", "/v1/vms?state=running").json["items"] == .array([]))
            let events = try await server.send("GET", "/v1/vms/a/events").json
            #expect(events["items"]?.elements.first?["kind"] == "vm.created" && events["nextCursor"] == .null)
        }
    }

    @Test func `lists go on where the page before ended`() async throws {
        try await TestServer.run { server in
            for name in ["c", "a", "e", "b", "d"] { _ = try await server.addHost(name) }
            var names: [String] = []
            var path = "/v1/hosts?limit=2&sort=-name"
            for _ in 0..<4 {
                let page = try await server.send("GET", path)
                #expect(page.status == 200, "\(page.text)")
                names += page.json["items"]?.elements.compactMap { $0["name"]?.text } ?? []
                guard let cursor = page.json["nextCursor"]?.text else { break }
                path = "/v1/hosts?limit=2&sort=-name&cursor=\(cursor)"
            }
            #expect(names == ["e", "d", "c", "b", "a"])
        }
    }

    @Test func `the same key and body give the same VM, another body is a 422`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            let key = [("Idempotency-Key", "k-1")]
            let body = #"{"name":"a","image":"i","cpus":1,"memory":64}"#
            let first = try await server.send("POST", "/v1/vms", body: body, headers: key)
            let second = try await server.send("POST", "/v1/vms", body: body, headers: key)
            #expect(first.status == 201 && second.status == 201 && first.json["id"] == second.json["id"])
            let other = try await server.send(
                "POST", "/v1/vms", body: body.replacing("64", with: "65"), headers: key)
            #expect(other.status == 422 && other.code == "idempotency-key-reused")
            #expect(try await server.send("POST", "/v1/vms", body: body).code == "name-taken")
            let bad = try await server.send(
                "POST", "/v1/vms", body: body, headers: [("Idempotency-Key", String(repeating: "k", count: 129))])
            #expect(bad.json["field"]?.text == "Idempotency-Key")
        }
    }

    @Test func `a change on condition of another revision is a 412`() async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            let stale = try await server.send(
                "POST", "/v1/hosts/h1/actions/disable", headers: [("If-Match", "\"7\"")])
            #expect(stale.status == 412 && stale.code == "revision-mismatch")
            let good = try await server.send(
                "POST", "/v1/hosts/h1/actions/disable", headers: [("If-Match", "\"1\"")])
            #expect(good.status == 200 && good.json["state"] == "disabled" && good.header("etag") == "\"2\"")
        }
    }

    @Test func `labels are changed by a merge patch, found by it, and guarded by their revision`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await server.addHost("h1")
            let made = try await server.send(
                "POST", "/v1/vms",
                body: #"{"name":"a","image":"i","cpus":1,"memory":64,"labels":{"app":"web","old":"1"},"#
                    + #""placement":{"hostLabels":{"zone":"a"},"antiAffinity":{"app":"db"}}}"#)
            #expect(made.status == 201, "\(made.text)")
            #expect(made.json["labels"] == ["app": "web", "old": "1"])
            #expect(made.json["placement"]?["hostLabels"] == ["zone": "a"])
            #expect(made.json["placement"]?["affinity"] == .object([]))
            for path in ["/v1/vms/a", "/v1/hosts/h1"] {
                let body = #"{"labels":{"tier":"1","old":null}}"#
                let stale = try await server.send("PATCH", path, body: body, headers: [("If-Match", "\"9\"")])
                #expect(stale.status == 412)
                let patched = try await server.send(
                    "PATCH", path, body: body,
                    headers: [("If-Match", "\"1\""), ("Content-Type", "application/merge-patch+json")])
                #expect(patched.status == 200 && patched.header("etag") == "\"2\"", "\(patched.text)")
                #expect(patched.json["labels"]?["tier"] == "1" && patched.json["labels"]?["old"] == nil)
                #expect(try await server.send("PATCH", path, body: "{}").header("etag") == "\"2\"")
                let list = path.split(separator: "/").dropLast().joined(separator: "/")
                let found = try await server.send("GET", "/\(list)?label=tier%3D1")
                #expect(found.json["items"]?.elements.count == 1, "\(found.text)")
                #expect(try await server.send("GET", "/\(list)?label=tier%3D2").json["items"] == .array([]))
                #expect(try await server.send("GET", "/\(list)?label=tier").json["field"]?.text == "label")
                let cleared = try await server.send("PATCH", path, body: #"{"labels":null}"#)
                #expect(cleared.json["labels"] == .object([]))
            }
        }
    }

    @Test func `bad labels and rules are refused by the name of their field`() async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            let bad = [
                (#"{"labels":{"a b":"1"}}"#, "labels"), (#"{"labels":{"a":1}}"#, "labels"),
                (#"{"labels":[]}"#, "labels"),
                (#"{"labels":{"a":"-"}}"#, "labels"), (#"{"name":"x"}"#, "name"),
            ]
            for (body, field) in bad {
                let answer = try await server.send("PATCH", "/v1/hosts/h1", body: body)
                #expect(answer.status == 400 && answer.json["field"]?.text == field, "\(body): \(answer.text)")
            }
            let rules = [
                (#"{"hostLabels":{"a b":"1"}}"#, "placement.hostLabels"),
                (#"{"affinity":"a=b"}"#, "placement.affinity"),
                (#"{"near":{}}"#, "placement.near"), ("[]", "placement"),
            ]
            for (rule, field) in rules {
                let body = #"{"cpus":1,"memory":64,"placement":\#(rule)}"#
                let answer = try await server.send("POST", "/v1/placements", body: body)
                #expect(answer.status == 400 && answer.json["field"]?.text == field, "\(body): \(answer.text)")
            }
            let plan = try await server.send(
                "POST", "/v1/placements", body: #"{"cpus":1,"memory":64,"placement":{"hostLabels":{"zone":"a"}}}"#)
            #expect(plan.json["hosts"]?.elements.first?["code"] == "host-unreachable", "\(plan.text)")
        }
    }

    @Test func `orphans are asked of the host, and addressed by id and epoch`() async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            #expect(try await server.send("GET", "/v1/hosts/h1/orphans").code == "host-unreachable")
            #expect(try await server.send("GET", "/v1/hosts/none/orphans").status == 404)
            let path = "/v1/hosts/h1/orphans/eeeeeeee-0000-4000-8000-00000000000e/actions"
            let bare = try await server.send("POST", "\(path)/remove", body: "{}")
            #expect(bare.json["field"]?.text == "epoch")
            #expect(try await server.send("POST", "\(path)/remove", body: #"{"epoch":7}"#).code == "host-unreachable")
            let named = try await server.send(
                "POST", "/v1/hosts/h1/orphans/web/actions/remove", body: #"{"epoch":7}"#)
            #expect(named.status == 404 && named.json["hint"] != nil)
            let adopt = try await server.send("POST", "\(path)/adopt", body: #"{"name":"Web","image":"i"}"#)
            #expect(adopt.json["field"]?.text == "name")
        }
    }

    @Test func `an operation is accepted with its place, and waited for`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await server.addHost("h1", connection: .connected)
            _ = try await server.send("POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
            let started = try await server.send("POST", "/v1/vms/a/actions/start?wait=1", body: #"{"host":"h1"}"#)
            #expect(started.status == 202 && started.json["state"] == "pending", "\(started.text)")
            let place = try #require(started.header("location"))
            let shown = try await server.send("GET", place)
            #expect(shown.status == 200 && shown.json["kind"] == "start" && shown.json["epoch"] == 1)
            #expect(try await server.send("GET", "\(place)?wait=301").json["field"]?.text == "wait")
            let again = try await server.send("POST", "/v1/vms/a/actions/start")
            #expect(again.status == 409 && again.code == "operation-in-progress", "\(again.text)")
            #expect(
                try await server.send("GET", "/v1/operations?vm=a&state=pending").json["items"]?.elements.count == 1)
        }
    }

    @Test func `a stop of an unreachable host says so, and with defer becomes a GC job`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            let host = try await server.addHost("h1", connection: .connected)
            _ = try await server.send("POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
            _ = try await server.send("POST", "/v1/vms/a/actions/start")
            try await server.database.write("test.lost") { tx in
                guard var found = try tx.host(host.id) else { return }
                found.connection = .disconnected
                _ = try tx.replace(found, atRevision: found.revision)
            }
            let refused = try await server.send("POST", "/v1/vms/a/actions/stop", body: #"{"mode":"cold"}"#)
            #expect(refused.status == 503 && refused.code == "host-unreachable" && refused.json["hint"] != nil)
            let left = try await server.send("POST", "/v1/vms/a/actions/stop", body: #"{"mode":"cold","defer":true}"#)
            #expect(left.status == 202 && left.json["outcome"] == "deferred", "\(left.text)")
            let vm = try await server.send("GET", "/v1/vms/a").json
            #expect(vm["state"] == "stopping" && vm["waitingFor"]?["host"]?.text == host.id.rawValue)
            let jobs = try await server.send("GET", "/v1/gc-jobs?vm=a&host=h1&kind=stop-vm&state=waiting").json
            let job = try #require(jobs["items"]?.elements.first?["id"]?.text)
            let explained = try await server.send("GET", "/v1/gc-jobs/\(job)/explain")
            #expect(explained.status == 200 && explained.json["waitsBecause"]?.text?.contains("h1") == true)
            #expect(try await server.send("POST", "/v1/gc-jobs/\(job)/actions/trigger").status == 200)
            let gone = try await server.send("DELETE", "/v1/gc-jobs/\(job)")
            #expect(gone.status == 200 && gone.json["outcome"] == "cancelled-by-user", "\(gone.text)")
        }
    }

    @Test func `hosts are added with a token, fenced and deleted`() async throws {
        try await TestServer.run { server in
            let added = try await server.send("POST", "/v1/hosts", body: #"{"name":"h1"}"#)
            #expect(added.status == 201 && added.json["command"]?.text?.contains("--join roost-join-secret") == true)
            #expect(try await server.send("POST", "/v1/hosts/h1/join-tokens").status == 201)
            #expect(try await server.send("POST", "/v1/hosts/h1/actions/fence").code == "invalid-body")
            let empty = try await server.send("POST", "/v1/hosts/h1/actions/fence", body: #"{"proof":""}"#)
            #expect(empty.json["field"]?.text == "proof")
            let fenced = try await server.send(
                "POST", "/v1/hosts/h1/actions/fence", body: #"{"proof":"I pulled the plug."}"#)
            #expect(fenced.status == 200 && fenced.json["fencedAt"] != .null)
            let extra = try await server.send("POST", "/v1/hosts/h1/actions/enable", body: #"{"now":true}"#)
            #expect(extra.status == 400 && extra.json["field"]?.text == "now")
            let deleted = try await server.send("DELETE", "/v1/hosts/h1?force=true")
            #expect(deleted.status == 200 && deleted.json["unresolvedVMs"] == .array([]))
            #expect(try await server.send("GET", "/v1/hosts/h1").status == 404)
        }
    }

    @Test func `an image's files are stored, and the image is ready`() async throws {
        try await TestServer.run { server in
            _ = try await server.send(
                "POST", "/v1/images", body: #"{"name":"k","kind":"kernel","commandLine":"console=ttyS0"}"#)
            var kernel = [UInt8](repeating: 65, count: 2000)
            kernel.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
            let text = String(decoding: kernel, as: UTF8.self)
            let first = try await server.send("PUT", "/v1/images/k/files/kernel", body: text)
            #expect(first.status == 200 && first.json["state"] == "incomplete", "\(first.text)")
            #expect(first.json["files"]?.elements.first?["sha256"]?.text == sha256(text))
            let second = try await server.send("PUT", "/v1/images/k/files/initrd", body: "070701" + text)
            #expect(second.json["state"] == "ready")
            #expect(try await server.send("PUT", "/v1/images/k/files/kernel", body: text).status == 409)
            let gone = try await server.send("DELETE", "/v1/images/k")
            #expect(gone.status == 204 && gone.body.isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(server.directory)/images").isEmpty)
        }
    }

    @Test func `a file larger than the limit is refused, announced or not`() async throws {
        var limits = HTTPLimits()
        limits.fileBytes = 100_000
        try await TestServer.run(limits: limits) { server in
            _ = try await server.send("POST", "/v1/images", body: #"{"name":"i","kind":"disk"}"#)
            let big = String(repeating: "x", count: 200_000)
            #expect(try await server.send("PUT", "/v1/images/i/files/disk", body: big).code == "body-too-large")
            let head =
                "PUT /v1/images/i/files/disk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(TestServer.token)\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n30d40\r\n\(big)\r\n0\r\n\r\n"
            let answer = try await server.exchange(Array(head.utf8), closesOutput: true)
            #expect(answer.status == 413, "\(answer.text)")
            let folders = try FileManager.default.subpathsOfDirectory(atPath: "\(server.directory)/images")
            #expect(!folders.contains { $0.contains("upload") || $0.hasSuffix("disk") }, "\(folders)")
        }
    }

    @Test func `health, readiness and metrics answer without a token`() async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            #expect(try await server.send("GET", "/healthz", token: nil).body == "ok\n")
            #expect(try await server.send("GET", "/readyz", token: nil).body == "ready\n")
            let metrics = try await server.send("GET", "/metrics", token: nil)
            #expect(metrics.header("content-type") == Metrics.contentType)
            for line in [
                #"roost_build_info{version="0.0.1",node="node-1"} 1"#, #"roost_hosts{connection="disconnected"} 1"#,
                #"roost_vms{state="running"} 0"#, #"roost_gc_jobs{state="waiting"} 0"#,
                #"roost_http_requests_total{method="GET",status="200"} 2"#,
            ] {
                #expect(metrics.body.split(separator: "\n").contains(Substring(line)), "\(line)")
            }
            let head = try await server.send("HEAD", "/healthz", token: nil)
            #expect(head.status == 200 && head.body.isEmpty && head.header("content-length") == "3")
        }
    }

    @Test func `every answer has its date, its request id and no cache`() async throws {
        try await TestServer.run { server in
            for path in ["/v1/version", "/v1/nothing"] {
                let answer = try await server.send("GET", path)
                #expect(answer.header("date")?.hasSuffix("GMT") == true)
                #expect(answer.header("x-request-id")?.count == 36)
                #expect(answer.header("cache-control") == "no-store")
            }
            #expect(try await server.send("GET", "/v1/version").json == ["version": "0.0.1", "apiVersion": "v1"])
        }
    }

    @Test func `an unexpected error says nothing of the inside`() async throws {
        struct Secret: Error { let password = "hunter2" }
        let fault = Domain.Fault(answering: Secret())
        #expect(fault.status == 500 && fault.code == .internalError && !fault.message.contains("hunter2"))
        try await TestServer.run { server in
            server.database.close()
            let answer = try await server.send("GET", "/readyz", token: nil)
            #expect([500, 503].contains(answer.status) && answer.isProblem)
            #expect(!answer.body.lowercased().contains("sql") && !answer.body.contains("/"), "\(answer.body)")
        }
    }

    @Test func `requests follow one another on one connection, and a large body may be announced first`() async throws {
        try await TestServer.run { server in
            let connection = try await RawConnection.open(port: server.port)
            let head = "Host: x\r\nAuthorization: Bearer \(TestServer.token)\r\n"
            let get = Array("GET /v1/version HTTP/1.1\r\n\(head)\r\n".utf8)
            await connection.write(get)
            #expect(await connection.read { $0.contains("apiVersion") }.hasPrefix("HTTP/1.1 200"))
            await connection.write(
                Array(
                    "POST /v1/hosts HTTP/1.1\r\n\(head)Content-Type: application/json\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n"
                        .utf8))
            #expect(await connection.read { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 100"))
            await connection.write(Array(#"{"name":"h1"}"#.utf8))
            #expect(await connection.read { $0.contains("joinToken") }.hasPrefix("HTTP/1.1 201"))
            await connection.write(get)
            #expect(await connection.read { $0.contains("apiVersion") }.hasPrefix("HTTP/1.1 200"))
        }
    }
}
