import APIContract
import ControlPlane
import Domain

/// `/v1/hosts`.
struct HostRoutes: Sendable {
    let services: APIServices
    var hosts: HostService { services.hosts }

    private static let list = ListParameters(
        filters: [
            .choice("state", of: Host.AdminState.allCases.map(\.rawValue), "Only hosts in this state."),
            .choice("connection", of: Host.Connection.allCases.map(\.rawValue), "Only hosts connected like this."),
            .text("name", upTo: Name.longest, "Only the host of this name."),
            .label("hosts"),
        ], sorts: ["name", "createdAt", "updatedAt"])
    private static let page = pageShape(of: HostResource.shape)
    private static let force = QueryField<Bool>.flag(
        "force", "Also delete a host on which VMs are placed; they stay `unknown` until it is fenced.")
    private static let name = BodyField<String>.name("name", "Unique among hosts.")
    private static let proof = BodyField<String>.text(
        "proof", upTo: 1000, isRequired: true, "How you know that the host is off; kept in the audit log.")

    var routes: [Route] {
        [
            index, add, show, patch, delete, joinToken,
            setState("enable", .enabled, "Lets the host take new VMs; ends a drain."),
            setState("disable", .disabled, "Gives the host no new VMs; those that run there are left alone."),
            maintain, drainPlan, reconnect, fence,
        ]
    }

    private var index: Route {
        Route(
            .get, "/v1/hosts", named: "listHosts", "Lists hosts, a page at a time.", query: Self.list.fields,
            answer: .json(Self.page, "A page of hosts."), faults: [.invalidField]
        ) { call in
            let query = try Self.list.query(call.query)
            let found = try await hosts.hosts(query)
            return .resource(
                Self.page,
                Page(
                    items: found.items.map(resource),
                    nextCursor: ListParameters.cursor(found.next, of: query)))
        }
    }

    private var add: Route {
        Route(
            .post, "/v1/hosts", named: "addHost", "Records a host and makes the token with which its agent joins.",
            body: .json(BodyShape("AddHostRequest", [Self.name])),
            answer: .json(AddedHost.shape, "The new host, with its join token.", status: 201),
            faults: [.invalidField, .nameTaken]
        ) { call in
            let host = try await hosts.add(try call.body.require(Self.name), by: call.caller)
            return .resource(AddedHost.shape, AddedHost(host), status: .created).located("/v1/hosts/\(host.id)")
        }
    }

    private var show: Route {
        Route(
            .get, "/v1/hosts/{host}", named: "showHost", "Shows a host.",
            answer: .json(HostResource.shape, "The host."), faults: [.notFound]
        ) { call in answer(try await hosts.host(call.value("host"))) }
    }

    private var patch: Route {
        Route(
            .patch, "/v1/hosts/{host}", named: "patchHost", "Changes the host's labels, as a JSON merge patch.",
            body: .json(BodyShape("PatchHostRequest", [BodyField<LabelPatch>.labelPatch])),
            answer: .json(HostResource.shape, "The host."), faults: [.invalidField, .notFound, .revisionMismatch]
        ) { call in answer(try await hosts.label(call.value("host"), call.body.labelPatch(), by: call.caller)) }
    }

    private var delete: Route {
        Route(
            .delete, "/v1/hosts/{host}", named: "deleteHost", "Deletes the host's record and shuts its agent out.",
            query: [Self.force], answer: .json(DeletedHost.shape, "What is left behind."),
            faults: [.notFound, .hostInUse]
        ) { call in
            let isForced = try call.query.optional(Self.force) ?? false
            let removal = try await hosts.delete(call.value("host"), isForced: isForced, by: call.caller)
            return .resource(DeletedHost.shape, DeletedHost(removal))
        }
    }

    private var joinToken: Route {
        Route(
            .post, "/v1/hosts/{host}/join-tokens", named: "makeJoinToken",
            "Makes a new join token and ends those that were not used.", body: .json(.empty),
            answer: .json(AddedHost.shape, "The host, with its new join token.", status: 201), faults: [.notFound]
        ) { call in
            let host = try await hosts.renewJoinToken(call.value("host"), by: call.caller)
            return .resource(AddedHost.shape, AddedHost(host), status: .created)
        }
    }

    private func setState(_ action: String, _ state: Host.AdminState, _ summary: String) -> Route {
        Route(
            .post, PathTemplate(stringLiteral: "/v1/hosts/{host}/actions/\(action)"), named: "\(action)Host", summary,
            body: .json(.empty), answer: .json(HostResource.shape, "The host."), faults: [.notFound]
        ) { call in answer(try await hosts.setState(state, of: call.value("host"), by: call.caller)) }
    }

    private var reconnect: Route {
        Route(
            .post, "/v1/hosts/{host}/actions/reconnect", named: "reconnectHost",
            "Ends the host's session; its agent dials in again.", body: .json(.empty),
            answer: .json(HostResource.shape, "The host."), faults: [.notFound]
        ) { call in answer(try await hosts.reconnect(call.value("host"), by: call.caller)) }
    }

    private var fence: Route {
        Route(
            .post, "/v1/hosts/{host}/actions/fence", named: "fenceHost",
            "Records your proof that the host is off, which frees the VMs placed there.",
            body: .json(BodyShape("FenceHostRequest", [Self.proof])),
            answer: .json(HostResource.shape, "The host."), faults: [.invalidField, .notFound, .alreadyConnected]
        ) { call in
            let proof = try call.body.require(Self.proof)
            return answer(try await hosts.fence(call.value("host"), proof: proof, by: call.caller))
        }
    }

    private func answer(_ view: HostView) -> Answer {
        .resource(HostResource.shape, resource(view)).tagged(view.host.revision)
    }

    private func resource(_ view: HostView) -> HostResource {
        HostResource(view, allocatable: hosts.allocatable(of: view.host))
    }
}
