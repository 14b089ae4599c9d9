import time
def test_probe(log_in, opened, town):
    client = log_in("admin")
    for p in ["/ui/journeys","/ui/journeys/welcome","/ui/journeys/welcome?tab=runs","/ui/journeys/birthday?tab=stuck","/ui/journeys/welcome?tab=refused","/ui/runs/"+town.run_of("Anna"),"/ui/runs/"+town.run_of("Julia"),"/ui/runs/"+town.run_of("Felix"),"/ui/runs/"+town.run_of("Nina"),"/ui/outbox","/ui/outbox/1","/ui/contacts","/ui/contacts/"+town.people["Anna"],"/ui/tasks?owner=all","/ui/journeys/none"]:
        t=time.time()
        with opened(client,p) as page:
            print("=====",p, round(time.time()-t,3)); print(page.text[:1800])
