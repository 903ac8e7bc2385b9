internal import FXSystem

/// Types: making, changing, forgetting and listing aliases.
extension FileExchange {
    /// Maps a type to a directory, made with its entity if it is new; an existing one is mapped anew. The directory it had stays as it
    /// is. Whether the user is asked: `PromptRule.creatingType`.
    ///
    /// - Parameters:
    ///   - initPath: proposed by the application; one that is not absolute, missing or unreadable counts as none.
    ///   - wish: `modal`.
    ///   - timeout: for the user; nil is `ExchangeSettings.promptTimeout`.
    /// - Throws: `prompt` when the user did not answer with a directory; `directoryTaken` or `registry` when the directory
    ///   cannot be mapped.
    public func createType(
        _ type: TypeAddress, initPath: String? = nil, _ wish: PromptWish = .ask, timeout: Duration? = nil
    ) throws(ExchangeError) -> TypeEntry {
        let present = try rowIfPresent(type)
        let facts = promptFacts(mapped: present?.path, initPath: initPath, wish)
        return try map(type, present, by: .creatingType(facts), timeout)
    }

    /// Makes the directories of `folder` below a type, with all above them; those that are there already are fine. Asks for the type's
    /// directory when it has none.
    /// - Throws: as `createType`; `refused` in a `read-only` type; `wrongKind` when a file is in the way.
    public func createTypeDirs(
        _ type: TypeAddress, _ folder: FolderPath, _ wish: PromptWish = .ask, timeout: Duration? = nil
    ) throws(ExchangeError) -> TypeEntry {
        let present = try rowIfPresent(type)
        let facts = promptFacts(mapped: nil, initPath: nil, wish)
        let rule = PromptRule.needingType(isMapped: present?.path != nil, facts)
        if rule != .keep { _ = try map(type, present, by: rule, timeout) }
        _ = try open(type).folderMakingMissing(folder)
        return try listType(type)
    }

    /// Asks the user for another directory, also when there is one. The old one stays as it is.
    /// - Throws: `noSuchType`; as `createType`.
    public func updateType(_ type: TypeAddress, timeout: Duration? = nil) throws(ExchangeError) -> TypeEntry {
        let present = try row(type)
        let facts = promptFacts(mapped: present.path, initPath: nil, .ask)
        return try map(type, present, by: .updatingType(facts), timeout)
    }

    /// Forgets a type. Its directory and everything in it stay. The entity stays, too.
    /// - Throws: `noSuchType`, also the second time.
    public func deleteType(_ type: TypeAddress) throws(ExchangeError) {
        do throws(MappingError) {
            try shared.registry.deleteType(type.type, of: type.entity, in: application)
        } catch {
            if case .noSuchType = error { throw .noSuchType(type) }
            throw .registry(error)
        }
    }

    /// True also for a type without a directory, or with one that is gone.
    public func existsType(_ type: TypeAddress) throws(ExchangeError) -> Bool { try rowIfPresent(type) != nil }

    /// - Throws: `noSuchType`.
    public func listType(_ type: TypeAddress) throws(ExchangeError) -> TypeEntry { entry(try row(type)) }

    /// Types of one entity, or of all when it is nil, by entity and name in byte order.
    /// - Throws: `noSuchEntity`.
    public func listTypes(of entity: EntityName? = nil, _ page: Page = .all) throws(ExchangeError) -> TypeList {
        let rows = try rows(of: entity)
        return TypeList(types: page.part(of: rows).map(entry), total: rows.count)
    }

    // MARK: Within

    /// By entity and name in byte order.
    func rows(of entity: EntityName?) throws(ExchangeError) -> [MappedType] {
        let snapshot = try snapshot()
        guard let entity else { return snapshot.types }
        if snapshot.entity(entity) == nil { throw .noSuchEntity(entity) }
        return snapshot.types(of: entity)
    }

    func rowIfPresent(_ type: TypeAddress) throws(ExchangeError) -> MappedType? {
        do throws(ExchangeError) { return try row(type) } catch {
            if case .noSuchType = error { return nil }
            throw error
        }
    }

    func promptFacts(mapped: String?, initPath: String?, _ wish: PromptWish) -> PromptRule.Facts {
        func isUsable(_ path: String) -> Bool { (try? RealDirectory(mapping: path)) != nil }
        return PromptRule.Facts(
            usablePath: initPath.flatMap { isUsable($0) ? $0 : nil }, wish: wish,
            mapped: mapped.flatMap { isUsable($0) ? $0 : nil }, home: shared.settings.home)
    }

    /// Asks if the rule says so, and maps.
    func map(
        _ type: TypeAddress, _ present: MappedType?, by rule: PromptRule, _ timeout: Duration?
    ) throws(ExchangeError) -> TypeEntry {
        let path: String
        switch rule {
        case .keep: return try listType(type)
        case .map(let given): path = given
        case .ask(let preselected):
            let question = DirectoryQuestion(
                application: application, type: type, preselected: preselected,
                timeout: timeout ?? shared.settings.promptTimeout)
            do throws(PromptFailure) { path = try shared.chooser.choose(question) } catch { throw .prompt(error) }
        }
        do throws(MappingError) {
            return entry(try map(type, present, to: path))
        } catch {
            switch error {
            // What others have mapped is none of this application's business.
            case .pathOverlapsType(let path, _, let other) where other.application != application:
                throw .directoryTaken(path)
            case .noSuchType: throw .noSuchType(type)
            default: throw .registry(error)
            }
        }
    }

    private func map(
        _ type: TypeAddress, _ present: MappedType?, to path: String
    ) throws(MappingError) -> MappedType {
        let (registry, reserved) = (shared.registry, shared.settings.reserved())
        if present == nil {
            do throws(MappingError) { _ = try registry.createEntity(type.entity, in: application) } catch {
                guard case .entityExists = error else { throw error }
            }
            do throws(MappingError) {
                return try registry.createType(
                    type.type, of: type.entity, in: application, path: path, policy: shared.settings.defaultPolicy,
                    clearOf: reserved)
            } catch {
                // Somebody made it while the user was asked: the answer counts for that one.
                guard case .typeExists = error else { throw error }
            }
        }
        return try registry.setPath(
            path, ofType: type.type, of: type.entity, in: application, clearOf: reserved)
    }

    func entry(_ row: MappedType) -> TypeEntry {
        var entry = TypeEntry(application: application, mapped: row, access: [], files: 0)
        guard row.path != nil, let open = try? open(entry.address) else { return entry }
        entry.access = open.mode(of: open.root.descriptor.access())
        let names = try? open.root.descriptor.entryNames()
        entry.files = names.map { $0.filter { !MappedRoot.isReserved($0) }.count } ?? 0
        return entry
    }
}
