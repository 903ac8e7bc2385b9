/// What a new installation holds: a part of the real server's own test data, without sessions.
///
/// Users: admin/admin (super administrator), siteadmin/siteadmin, user3/user3 (administrator of project 1),
/// user/user (user of project 1), user4/user4 (no role). Participant 1: participant1/opentera.
extension OpenTeraState {
    mutating func addDefaults() {
        let alien = "00000000-0000-0000-0000-000000000001"
        sites.add(Site(name: "Default Site"))
        sites.add(Site(name: "Top Secret Site"))
        projects.add(Project(site: 1, name: "Default Project #1"))
        projects.add(Project(site: 1, name: "Default Project #2"))
        projects.add(Project(site: 2, name: "Secret Project #1"))
        services.add(
            ServiceRecord(
                uuid: alien, key: "OpenTeraServer", name: "OpenTera Server", clientEndpoint: "/", port: 4040))
        services.add(
            ServiceRecord(
                uuid: newUUID(), key: "LoggingService", name: "Logging Service", clientEndpoint: "/log", port: 4041))
        services.add(
            ServiceRecord(
                uuid: newUUID(), key: "FileTransferService", name: "File Transfer Service", clientEndpoint: "/file",
                port: 4042, hasAssets: true, projects: [1, 2, 3], sites: [1, 2]))
        services.add(
            ServiceRecord(
                id: 6, uuid: newUUID(), key: "VideoRehabService", name: "Télé-réadaptation vidéo",
                clientEndpoint: "/rehab", port: 4070, isSystem: false, projects: [1], sites: [1]))
        let people: [(String, String, String)] = [
            ("admin", "Super", "Admin"), ("siteadmin", "Site", "Admin"), ("user", "Site", "User"),
            ("user2", "Site User", "Two"), ("user3", "Project", "Admin"), ("user4", "No Access", "User!"),
        ]
        for (name, first, last) in people {
            users.add(User(uuid: newUUID(), username: name, password: name, firstName: first, lastName: last))
        }
        _ = users.update(1) { $0.isSuperAdmin = true }
        _ = users.update(2) { $0.sites = [1: "admin"] }
        _ = users.update(3) { $0.projects = [1: "user"] }
        _ = users.update(4) { $0.projects = [1: "user", 2: "user"] }
        _ = users.update(5) { $0.projects = [1: "admin", 2: "admin"] }
        participants.add(
            Participant(
                uuid: newUUID(), project: 1, name: "Participant #1", username: "participant1", password: "opentera",
                staticToken: "static-\(newUUID())", email: "x@opentera.org", group: 1))
        participants.add(Participant(uuid: newUUID(), project: 1, name: "Participant #2", isEnabled: false))
        participants.add(
            Participant(uuid: newUUID(), project: 1, name: "Participant #3", staticToken: "static-\(newUUID())"))
        participants.add(Participant(uuid: newUUID(), project: 3, name: "Secret Participant #1"))
        devices.add(
            Device(uuid: newUUID(), name: "Apple Watch #W05P1", token: "device-\(newUUID())", participants: [1, 2]))
        // The third may be used for files because FTS is one of its secondary services, the fifth because it is FTS's.
        types.add(SessionType(name: "Suivi vidéo", category: 1, color: "#00FF00", service: 6, projects: [1]))
        types.add(SessionType(name: "Données Capteur", category: 3, color: "#0000FF", projects: [1]))
        types.add(
            SessionType(
                name: "Collecte données", category: 2, color: "#00FFFF", secondaryServices: [3], projects: [1]))
        types.add(SessionType(name: "Exercices individuels", category: 4, color: "#FF00FF", projects: [1]))
        types.add(
            SessionType(name: "FileTransfer", category: 1, color: "#FF00FF", service: 3, projects: [1, 2, 3]))
    }
}
