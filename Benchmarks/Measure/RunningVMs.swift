import ControlPlane
import Domain
import Platform
import SQLStore

extension SQLiteDatabase {
    /// Records `count` VMs that run on `host`, and returns them.
    func insertRunningVMs(_ count: Int, on host: HostID) async throws -> [VM] {
        let (ids, time) = (SystemIDs(), SystemTime().wall())
        let placement = Placement(host: host, epoch: Epoch(1))
        let image = ImageID(from: ids)
        let machines = (0..<count).map { number in
            VM(
                id: VMID(from: ids), name: "vm\(number)", image: image, cpus: 1, memory: 512,
                state: .running(placement), epoch: placement.epoch, lastPlacement: placement, domainSeen: true,
                createdAt: time, updatedAt: time)
        }
        try await write("measure.insert") { tx in
            for machine in machines { try tx.insert(machine) }
        }
        return machines
    }
}
