import FXSystem
import Foundation
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import FXMapping

@Suite struct RegistryTests {
    let scratch: Scratch
    let database: String
    let app: ApplicationID
    let entity: EntityName

    init() throws {
        scratch = try Scratch()
        database = try scratch.directory("state") + "/mappings.sqlite"
        app = try ApplicationID("local")
        entity = try EntityName("home")
    }

    private func opened() throws -> TypeRegistry {
        let registry = try TypeRegistry(databasePath: database)
        if registry.snapshot(of: app).entity(entity) == nil { try registry.createEntity(entity, in: app) }
        return registry
    }

    @Test func whatWasMadeIsThereAfterReopening() throws {
        let path = try scratch.directory("data")
        do {
            let registry = try opened()
            let type = try registry.createType(
                try TypeName("docs"), of: entity, in: app, path: path + "//./", policy: .appendOnly)
            #expect(type.path == path)
            #expect(type.status == .mapped)
        }
        let registry = try TypeRegistry(databasePath: database)
        let type = try #require(registry.snapshot(of: app).type(entity, TypeName("docs")))
        #expect(type.policy == .appendOnly)
        #expect(try registry.type(TypeName("docs"), of: entity, in: app) == type)
    }

    @Test func anUnmappedTypeExistsAndCanBeMappedAndUnmapped() throws {
        let registry = try opened()
        let name = try TypeName("docs")
        #expect(try registry.createType(name, of: entity, in: app).status == .unmapped)
        #expect(try registry.exists(name, of: entity, in: app))
        let path = try scratch.directory("data")
        #expect(try registry.setPath(path, ofType: name, of: entity, in: app).status == .mapped)
        #expect(try registry.setPath(nil, ofType: name, of: entity, in: app).status == .unmapped)
        try registry.deleteType(name, of: entity, in: app)
        #expect(try !registry.exists(name, of: entity, in: app))
        #expect(FileManager.default.fileExists(atPath: path))
        #expect(throws: MappingError.noSuchType(entity, name)) { try registry.deleteType(name, of: entity, in: app) }
    }

    @Test func applicationsDoNotSeeEachOther() throws {
        let registry = try opened()
        let other = try ApplicationID("other")
        try registry.createType(try TypeName("docs"), of: entity, in: app)
        #expect(registry.snapshot(of: other).entities.isEmpty)
        #expect(throws: MappingError.noSuchEntity(entity)) { try registry.types(in: other, entity: entity) }
        try registry.createEntity(entity, in: other)
        try registry.createType(try TypeName("docs"), of: entity, in: other)
    }

    @Test func aPathThatCannotBeServedIsRefusedWithTheReason() throws {
        let registry = try opened()
        let name = try TypeName("t")
        func refusal(_ path: String) -> Errno? {
            do {
                _ = try registry.createType(name, of: entity, in: app, path: path)
                return nil
            } catch { return (error as MappingError).errno }
        }
        #expect(refusal("relative") == .invalidArgument)
        #expect(refusal("/a/../b") == .invalidArgument)
        #expect(refusal(scratch.path + "/missing") == .noSuchFileOrDirectory)
        #expect(refusal("/dev/null") == .notDirectory)
        #expect(refusal(scratch.path + "/state") == .notPermitted)
        #expect(refusal(try scratch.directory("state/deeper")) == .notPermitted)
    }

    @Test func overlappingTypesNeedTheSamePolicy() throws {
        let registry = try opened()
        let outer = try scratch.directory("data")
        let inner = try scratch.directory("data/inner")
        let link = scratch.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: inner)
        try registry.createType(try TypeName("outer"), of: entity, in: app, path: outer, policy: .writeOnce)
        let expected = MappingError.OverlappedType(
            application: app, entity: entity, type: try TypeName("outer"), path: outer, policy: .writeOnce)
        #expect(throws: MappingError.pathOverlapsType(inner, .inside, expected)) {
            try registry.createType(TypeName("in"), of: entity, in: app, path: link, policy: .keepVersions)
        }
        #expect(throws: MappingError.pathOverlapsType(scratch.path, .contains, expected)) {
            try registry.createType(TypeName("in"), of: entity, in: app, path: scratch.path, policy: .keepVersions)
        }
        let other = try ApplicationID("other")
        try registry.createEntity(entity, in: other)
        #expect(throws: MappingError.pathOverlapsType(outer, .same, expected)) {
            try registry.createType(TypeName("in"), of: entity, in: other, path: outer, policy: .readOnly)
        }
        try registry.createType(try TypeName("in"), of: entity, in: app, path: link, policy: .writeOnce)
        #expect(throws: MappingError.self) {
            try registry.setPolicy(.readOnly, ofType: TypeName("in"), of: entity, in: app)
        }
        try registry.createType(try TypeName("beside"), of: entity, in: app, path: try scratch.directory("data2"))
    }

    @Test func aTypeAndAMountKeepOutOfEachOther() throws {
        let registry = try opened()
        let mount = try scratch.directory("mnt")
        let name = try TypeName("t")
        #expect(throws: MappingError.self) {
            try registry.createType(name, of: entity, in: app, path: mount + "/types", clearOf: [.mountPoint(mount)])
        }
        let data = try scratch.directory("data")
        try registry.createType(name, of: entity, in: app, path: data, clearOf: [.mountPoint(mount)])
        try registry.checkMountPoint(mount, for: app)
        #expect(throws: MappingError.pathOverlapsReserved(data, .contains, .mountPoint(data + "/m"))) {
            try registry.checkMountPoint(data + "/m", for: app)
        }
    }

    @Test func aPolicyIsWeakenedOnlyOnDemand() throws {
        let registry = try opened()
        let name = try TypeName("t")
        try registry.createType(name, of: entity, in: app, path: try scratch.directory("data"), policy: .appendOnly)
        #expect(throws: MappingError.weakerPolicy(from: .appendOnly, to: .keepVersions)) {
            try registry.setPolicy(.keepVersions, ofType: name, of: entity, in: app)
        }
        try registry.setPolicy(.writeOnce, ofType: name, of: entity, in: app)
        #expect(
            try registry.setPolicy(.keepNames, ofType: name, of: entity, in: app, weakening: .allowed).policy
                == .keepNames)
    }

    @Test func manyThreadsAndConnectionsAgree() throws {
        let registries = [
            try opened(), try TypeRegistry(databasePath: database), try TypeRegistry(databasePath: database),
        ]
        let won = Mutex(0)
        let threads = 12
        let names = 20
        let entity = entity
        let app = app
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            for index in 0..<names {
                do {
                    try registries[thread % 3].createType(TypeName("t\(index)"), of: entity, in: app)
                    won.withLock { $0 += 1 }
                } catch let error as MappingError {
                    if case .typeExists = error { continue }
                    Issue.record(error)
                } catch { Issue.record(error) }
            }
        }
        #expect(won.withLock { $0 } == names)
        for registry in registries { #expect(try registry.types(in: app).count == names) }
    }

    @Test func severalOpenANewDatabaseAtOnce() throws {
        let database = database
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            do { _ = try TypeRegistry(databasePath: database) } catch { failures.withLock { $0.append("\(error)") } }
        }
        #expect(failures.withLock { $0 } == [])
    }

    @Test func aChangeOfAnotherConnectionIsSeenWithinASecond() throws {
        let watching = try opened()
        let other = try TypeRegistry(databasePath: database)
        let seen = Monitor<[RegistrySnapshot]>([])
        try watching.startWatching { snapshot in seen.withLock { $0.append(snapshot) } }
        let name = try TypeName("late")
        try other.createType(name, of: entity, in: app)
        let found = seen.wait(until: .after(.seconds(1))) { [entity] in $0.last?.type(entity, name) }
        #expect(found != nil)
        #expect(watching.snapshot(of: app).type(entity, name) == found)
        try watching.createType(try TypeName("own"), of: entity, in: app)
        let own = try TypeName("own")
        let foundOwn = seen.wait(until: .after(.seconds(1))) { [entity] in $0.last?.type(entity, own) }
        #expect(foundOwn != nil)
        watching.stopWatching()
        let count = seen.withLock { $0.count }
        try other.deleteType(name, of: entity, in: app)
        #expect(seen.withLock { $0.count } == count)
    }

    @Test func aNewerDatabaseIsLeftAlone() throws {
        _ = try opened()
        try #require(Scratch.run(["sqlite3", database, "INSERT INTO grdb_migrations VALUES ('99 future')"]) == 0)
        #expect(throws: MappingError.databaseTooNew(["99 future"])) { try TypeRegistry(databasePath: database) }
    }
}
