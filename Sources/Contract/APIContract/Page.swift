/// One page of a list.
package struct Page<Item: Codable & Sendable>: Codable, Sendable {
    package var items: [Item]
    package var nextCursor: String?

    package init(items: [Item], nextCursor: String?) {
        self.items = items
        self.nextCursor = nextCursor
    }
}

/// A change, as `/v1/events` tells it.
package struct EventResource: Codable, Hashable, Sendable {
    package var id: Int64
    package var at: String
    package var kind: String
    package var vm: String?
    package var host: String?
    package var job: String?
    package var epoch: Int64?
    package var message: String
    package var principal: String

    package init(
        id: Int64, at: String, kind: String, vm: String?, host: String?, job: String?, epoch: Int64?, message: String,
        principal: String
    ) {
        self.id = id
        self.at = at
        self.kind = kind
        self.vm = vm
        self.host = host
        self.job = job
        self.epoch = epoch
        self.message = message
        self.principal = principal
    }
}

/// What `GET /v1/version` answers.
package struct VersionResource: Codable, Hashable, Sendable {
    package var version: String
    package var apiVersion: String

    package init(version: String, apiVersion: String) {
        self.version = version
        self.apiVersion = apiVersion
    }
}
