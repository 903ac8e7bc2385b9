internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// `types`: the entities of the application.
final class TypesDirectory: DirectoryNode {
    private let services: TreeServices

    init(_ services: TreeServices) { self.services = services }

    var key: NodeKey { .types }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        services.directoryStatus(inode: InodeNumbers.types)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        guard let entityName = try? EntityName(name.description), entityName.name == name,
            let entity = try services.entity(entityName)
        else { throw .noSuchFileOrDirectory }
        return try found(entity)
    }

    private func found(_ entity: Entity) throws(Errno) -> Found {
        let node = EntityDirectory(entity, services)
        return Found(node: node, status: try node.status(using: nil))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for entity in try services.newestSnapshot().entities {
            let found = try found(entity)
            entries.append((entity.name.name, found.node, found.status))
        }
        return VirtualListing(entries, inode: InodeNumbers.types)
    }

    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found {
        do throws(MappingError) {
            let entityName = try EntityName(name.description)
            guard entityName.name == name else { throw MappingError.system(.invalidArgument) }
            let entity = try services.registry.createEntity(entityName, in: services.application)
            let node = EntityDirectory(entity, services)
            return Found(node: node, status: services.directoryStatus(inode: InodeNumbers.entity(entity.id)))
        } catch {
            throw error.errno
        }
    }
}

/// `types/<entity>`: its types.
final class EntityDirectory: DirectoryNode {
    private let services: TreeServices
    private let entity: Entity

    init(_ entity: Entity, _ services: TreeServices) {
        self.entity = entity
        self.services = services
    }

    var key: NodeKey { .entity(entity.id) }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        services.directoryStatus(inode: InodeNumbers.entity(entity.id), time: entity.createdAt)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        guard let typeName = try? TypeName(name.description), typeName.name == name,
            let type = try services.type(entity.name, typeName)
        else { throw .noSuchFileOrDirectory }
        return found(type)
    }

    private func found(_ type: MappedType) -> Found {
        let node = TypeDirectory(type, services)
        return Found(node: node, status: node.statusOfAlias())
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for type in try services.newestSnapshot().types(of: entity.name) {
            let found = found(type)
            entries.append((type.name.name, found.node, found.status))
        }
        return VirtualListing(entries, inode: InodeNumbers.entity(entity.id))
    }

    /// Makes a type; mapped at once to a directory of its own when there is a default root.
    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found {
        do throws(MappingError) {
            let typeName = try TypeName(name.description)
            guard typeName.name == name else { throw MappingError.system(.invalidArgument) }
            let path = try defaultPath(typeName)
            return found(
                try services.registry.createType(
                    typeName, of: entity.name, in: services.application, path: path, clearOf: services.reserved))
        } catch {
            throw error.errno
        }
    }

    private func defaultPath(_ type: TypeName) throws(MappingError) -> String? {
        guard let root = services.defaultRoot else { return nil }
        do throws(Errno) {
            let top = try OwnedDescriptor.open(absolute: root, [.pathOnly, .directory])
            try top.makeDirectoryIfMissing(entity.name.name)
            let inEntity = try top.open(entity.name.name, [.pathOnly, .directory])
            try inEntity.makeDirectoryIfMissing(type.name)
        } catch {
            throw MappingError.system(error)
        }
        return "\(root)/\(entity.name)/\(type)"
    }
}

extension OwnedDescriptor {
    fileprivate borrowing func makeDirectoryIfMissing(_ name: Name) throws(Errno) {
        do throws(Errno) {
            try makeDirectory(name, mode: 0o755)
        } catch {
            if error != .fileExists { throw error }
        }
    }
}
