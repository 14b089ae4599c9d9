"""Where anybody gets an e-mail address: such a domain says nothing about a company. A workspace adds its own (`workspace.settings.Companies`).

The big ones of the world, those of Germany, Austria and Switzerland with their access providers, and the best known that throw addresses away.
"""

from __future__ import annotations

_LISTED = """
    gmail.com googlemail.com outlook.com hotmail.com live.com msn.com passport.com windowslive.com yahoo.com ymail.com rocketmail.com
    icloud.com me.com mac.com aol.com aim.com zoho.com zohomail.com zohomail.eu proton.me protonmail.com protonmail.ch pm.me tutanota.com
    tutanota.de tutamail.com tuta.com tuta.io keemail.me fastmail.com fastmail.fm hushmail.com mail.com email.com usa.com post.com
    europe.com engineer.com consultant.com dr.com inbox.com hey.com runbox.com startmail.com disroot.org riseup.net autistici.org
    gmx.com gmx.us gmx.de gmx.net gmx.ch gmx.at gmx.li gmx.eu gmx.info gmx.org web.de email.de freenet.de t-online.de magenta.de
    arcor.de vodafone.de vodafonemail.de o2online.de o2mail.de kabelmail.de unitybox.de unity-mail.de online.de onlinehome.de 1und1.de
    ok.de alice.de alice-dsl.net alice-dsl.de versanet.de netcologne.de ewetel.net ewe.net osnanet.de htp-tel.de mnet-mail.de
    mnet-online.de lycos.de firemail.de firemail.eu mail.de mailbox.org posteo.de posteo.net posteo.ch posteo.at posteo.eu posteo.org
    systemli.org genion.de compuserve.de compuserve.com directbox.com directbox.de emailn.de live.de outlook.de hotmail.de yahoo.de
    ymail.de aol.de icloud.de smart-mail.de trashmail.de
    bluewin.ch bluemail.ch swissonline.ch hispeed.ch sunrise.ch sunrise.net freesurf.ch tele2.ch green.ch quickline.ch quickline.com
    besonet.ch bluenet.ch mysunrise.ch vtxnet.ch vtxmail.ch netplus.ch romandie.com citycable.ch ggaweb.ch
    gga.ch kabelnet.ch yetnet.ch zapp.ch dplanet.ch datacomm.ch solnet.ch tiscali.ch hotmail.ch outlook.ch live.ch yahoo.ch pop.agri.ch
    bluewinmail.ch teleport.ch mail.ch swissmail.org swissmail.com swiss-mail.ch infomaniak.ch ik.me etik.com ikmail.com
    aon.at a1.net a1.at chello.at upcmail.at inode.at utanet.at tele2.at liwest.at kabelplus.at kabsi.at drei.at telering.at vol.at
    cable.vol.at eunet.at tirol.com sbg.at salzburg.co.at hotmail.at live.at yahoo.at outlook.at magenta.at surfeu.at
    orange.fr wanadoo.fr free.fr sfr.fr laposte.net neuf.fr bbox.fr numericable.fr aliceadsl.fr club-internet.fr cegetel.net voila.fr
    yahoo.fr hotmail.fr live.fr outlook.fr gmx.fr
    libero.it virgilio.it tiscali.it alice.it tin.it tim.it inwind.it iol.it fastwebnet.it email.it poste.it yahoo.it hotmail.it live.it
    outlook.it
    ziggo.nl kpnmail.nl planet.nl hetnet.nl home.nl xs4all.nl upcmail.nl quicknet.nl chello.nl telfort.nl live.nl hotmail.nl outlook.nl
    skynet.be telenet.be proximus.be belgacom.net scarlet.be voo.be hotmail.be live.be outlook.be pt.lu internet.lu
    btinternet.com sky.com talktalk.net virginmedia.com ntlworld.com blueyonder.co.uk tiscali.co.uk yahoo.co.uk hotmail.co.uk live.co.uk
    outlook.co.uk eircom.net
    comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net juno.com netzero.net optonline.net
    rogers.com shaw.ca sympatico.ca telus.net videotron.ca yahoo.ca hotmail.ca live.ca
    telia.com telenor.no online.no tele2.se spray.se bredband.net comhem.se hotmail.se live.se outlook.dk live.dk hotmail.dk mail.dk
    seznam.cz email.cz centrum.cz post.cz volny.cz azet.sk zoznam.sk centrum.sk wp.pl o2.pl onet.pl op.pl interia.pl gazeta.pl tlen.pl
    poczta.onet.pl freemail.hu citromail.hu t-online.hu abv.bg mail.bg ukr.net i.ua bigmir.net yandex.com yandex.ru ya.ru mail.ru bk.ru
    list.ru inbox.ru rambler.ru
    terra.es telefonica.net movistar.es yahoo.es hotmail.es live.es outlook.es sapo.pt mail.telepac.pt hotmail.pt
    yahoo.gr windowslive.gr otenet.gr hotmail.gr mynet.com hotmail.com.tr yahoo.com.tr
    uol.com.br bol.com.br terra.com.br ig.com.br yahoo.com.br hotmail.com.br outlook.com.br yahoo.com.mx hotmail.com.mx yahoo.com.ar
    hotmail.com.ar live.com.mx live.com.ar
    qq.com 163.com 126.com sina.com sohu.com foxmail.com yeah.net 139.com naver.com hanmail.net daum.net yahoo.co.jp docomo.ne.jp
    ezweb.ne.jp softbank.ne.jp rediffmail.com yahoo.co.in yahoo.in outlook.in bigpond.com optusnet.com.au yahoo.com.au live.com.au
    hotmail.com.au xtra.co.nz walla.com walla.co.il
    mailinator.com guerrillamail.com guerrillamail.net guerrillamail.org guerrillamail.de sharklasers.com grr.la 10minutemail.com
    10minutemail.net 10minutemail.de tempmail.com temp-mail.org temp-mail.io tempmail.net tempr.email discard.email discardmail.com
    discardmail.de throwawaymail.com throwaway.email trashmail.com trashmail.net trashmail.me trashmail.io trash-mail.com trash-mail.de
    wegwerfmail.de wegwerfmail.net wegwerfmail.org wegwerfemail.de wegwerf-email.de wegwerf-email.net einmalmail.de spambog.com
    spambog.de spamgourmet.com muellmail.com muell.email byom.de yopmail.com yopmail.fr yopmail.net getnada.com nada.email dispostable.com
    maildrop.cc mailnesia.com mailcatch.com mailnull.com mytemp.email mohmal.com fakeinbox.com fakemail.net emailondeck.com moakt.com
    minuteinbox.com tempail.com tempinbox.com burnermail.io anonaddy.com anonaddy.me addy.io simplelogin.com simplelogin.io
    relay.firefox.com mozmail.com privaterelay.appleid.com duck.com spam4.me mintemail.com mailexpire.com jetable.org jetable.fr.nf
    incognitomail.org cool.fr.nf nomail.xl.cx speed.1s.fr inboxkitten.com emailfake.com luxusmail.org
"""
FREE = frozenset(_LISTED.split())


def is_free(domain: str, more: frozenset[str] = frozenset()) -> bool:
    """Whether a domain (lower case), or one above it, gives addresses to anybody. `more`: what the workspace adds."""
    parts = domain.split(".")
    above = (".".join(parts[place:]) for place in range(len(parts) - 1))
    return any(one in FREE or one in more for one in above)
